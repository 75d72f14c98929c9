"""Be a client inside a program of Twisted, or use one that runs.

async with Client(reactor, id="echo", server="chat.example:5555") as me:
    room = await me.join("#tea")
    async for message in room.messages():
        await message.reply(message.text)
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from chatproto.api.connection import ATTACH_WAIT, LONGEST, control_socket
from chatproto.api.deferred import DeferredConnection
from chatproto.api.errors import closed, no_client, not_json, too_long, wrong_option
from chatproto.api.inside import InsideClient
from chatproto.cli.embedded import EmbeddedOptions, Value
from chatproto.net.receivers import TextConnection


class Client(InsideClient):
    """A client in this program, from `start` to `close`; `async with` calls both.

    Args: id, server, home: as the options of chatclient; a server is `host:port` or `host:port/KEY`, or
    "none". options: any other one that does not concern a terminal, such as `downloads="/srv/in"`, with
    `_` for `-`. True for one without a value; a list for one that may be repeated.
    Raises: Refused: `malformed` for a wrong value.

    The reactor gets a clock that never jumps, and names are looked up in its threads.
    """

    def __init__(
        self,
        reactor: Any,
        id: str | None = None,
        server: Value = None,
        home: Value = None,
        **options: Value,
    ) -> None:
        try:
            known = EmbeddedOptions({"id": id, "server": server, "home": home, **options})
        except UsageError as error:
            raise wrong_option(str(error)) from None
        super().__init__(reactor, known)


def attach(
    reactor: Any,
    home: str | os.PathLike[str] | None = None,
    id: str | None = None,
    wait: float | None = ATTACH_WAIT,
) -> Deferred[AttachedClient]:
    """Connect to the client that runs in `home`, or in the usual home of `id`.

    Args: wait: seconds, None for no limit. Fails: Refused: `not-found` if no client runs there.
    Raises: ValueError: neither or both are given.
    """
    return Deferred.fromCoroutine(_attached(reactor, control_socket(home, id), wait))


async def _attached(reactor: Any, path: Path, wait: float | None) -> AttachedClient:
    client = AttachedClient(reactor)
    try:
        await connectProtocol(UNIXClientEndpoint(reactor, str(path)), client.line)
    except ConnectError as error:
        raise no_client(path.parent, error) from None
    await client.learn_id(wait)
    return client


class AttachedClient(DeferredConnection):
    """A connection to a running client, made by `attach`. It ends with `close`, or with the client."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self.line = _ControlLine(self)

    def close(self) -> Deferred[None]:
        """Close the connection, and end all requests. The client itself continues."""
        self.end(closed())
        self.line.loseConnection()
        return succeed(None)

    def write(self, line: str) -> None:
        self.line.sendLine(line.encode("ascii"))


class _ControlLine(TextConnection):
    """Lines of the JSON interface."""

    MAX_LENGTH = LONGEST

    def __init__(self, client: AttachedClient) -> None:
        self._client = client

    def lineReceived(self, line: bytes) -> None:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            self._client.end(not_json())
            self.loseConnection()
        else:
            self._client.tell(fields)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._client.end(too_long(LONGEST))
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close the connection, if there is one."""
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._client.end(closed())
