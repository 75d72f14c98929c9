"""A Redis on the simulated network, which runs the real scripts.

Its data are in this process, with the simulation's clock, or in a real Redis: then what ends by itself there
ends by the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from unittest.mock import patch

import fakeredis
import hiredis
from redis import Redis
from redis.exceptions import NoScriptError, ResponseError
from twisted.internet.protocol import Factory, Protocol

from tests.simulation.network import SimNetwork
from tests.simulation.reactor import SimReactor

HOST, PORT = "10.2.0.1", 6379
WRITING = (b"EVALSHA", b"EVAL", b"XADD")
"""Commands after which there may be something to read in a stream."""
PONG = b"PONG", [b"pong", b""]
"""Replies to a ping: to a connection that hears nothing, and to one that does."""
TOKEN = b"}:t:"
"""Part of the key under which a script keeps its result for a retry."""


class RedisHost:
    """The data, and what goes wrong with replies and with what is published.

    Args: port: of a real Redis on this machine, which is emptied; 0 for one in this process.
    """

    def __init__(
        self, network: SimNetwork, random: Random, tell: Callable[..., None], port: int = 0
    ) -> None:
        self._clock = network.clock
        self._random = random
        self.tell = tell
        self._real = Redis(port=port, protocol=2) if port else None
        self._server = fakeredis.FakeServer(version=(7,))
        self._own = self.connection()
        self.connections: list[RedisEnd] = []
        self.deaf: set[str] = set()
        """Hosts that get no reply to their next change, though it is made: their connection breaks."""
        self.lost_publishes = 0
        """So many of the next publishes get lost, each at some of those who should hear it."""
        reactor = SimReactor(network, HOST, "redis")
        self.after = reactor.callLater
        self.ask("FLUSHALL")
        network.listen(reactor, PORT, _Factory(self))

    def connection(self) -> Any:
        """Make a connection to the data."""
        client = self._real or fakeredis.FakeRedis(server=self._server, protocol=2)
        return client.connection_pool.get_connection()

    def close(self) -> None:
        """Close all connections to the data."""
        for one in tuple(self.connections):
            one.connectionLost()
        self._own.disconnect()

    def ask(self, *words: Any) -> Any:
        """Return the reply to a command of the test itself; a script's changes are published."""
        reply = self.run(self._own, *words)
        assert not isinstance(reply, Exception), reply
        self.publish()
        return reply

    def run(self, connection: Any, *words: Any) -> Any:
        """Return the reply to a command, or the error, at the time of the simulation."""
        with patch("time.time", self._clock.seconds):
            connection.send_command(*words)
            return self.read(connection)

    def read(self, connection: Any) -> Any:
        """Return the next reply to `connection`, or the next message that it hears."""
        try:
            return connection.read_response(disable_decoding=True)
        except ResponseError as error:
            kind = "NOSCRIPT" if isinstance(error, NoScriptError) else "ERR"
            return ResponseError(f"{kind} {error}")

    def published(self, connection: Any) -> list[Any]:
        """Return all that `connection` hears now."""
        found: list[Any] = []
        if self._real is None:
            while connection.can_read(0):
                found.append(self.read(connection))
            return found
        connection.send_command("PING")  # its reply comes after all that was published before
        while (message := self.read(connection)) not in PONG:
            found.append(message)
        return found

    def wake(self) -> None:
        """Have all who wait for an entry look whether it is there."""
        for one in tuple(self.connections):
            one.look()

    def publish(self) -> None:
        """Bring to all who have subscribed what was published by the last command."""
        heard = [(one, one.messages()) for one in self.connections]
        losing = self.lost_publishes > 0 and any(messages for _, messages in heard)
        self.lost_publishes -= losing
        for one, messages in heard:
            if messages and losing and self._random.random() < 0.7:
                self.tell("redis", "loses", f"{len(messages)} messages to {one.name}")
                continue
            for message in messages:
                one.reply(message)


class RedisEnd(Protocol):
    """Redis's end of a connection."""

    def __init__(self, host: RedisHost) -> None:
        self._host = host
        self._reader = hiredis.Reader()
        self._data = host.connection()
        self._waits: list[bytes] | None = None
        self._timeout: Any = None
        self.subscribed = False

    @property
    def name(self) -> str:
        """Host that is connected."""
        found: str = self.transport.getPeer().host  # type: ignore[union-attr]
        return found

    def connectionMade(self) -> None:
        self._host.connections.append(self)

    def connectionLost(self, reason: Any = None) -> None:
        self._waits = None
        if self in self._host.connections:
            self._host.connections.remove(self)
        self._data.disconnect()

    def dataReceived(self, data: bytes) -> None:
        self._reader.feed(data)
        while self in self._host.connections and (words := self._reader.gets()) is not False:
            self._do(words)

    def messages(self) -> list[Any]:
        """Return what was published and not sent yet."""
        return self._host.published(self._data) if self.subscribed else []

    def reply(self, reply: Any) -> None:
        """Send `reply`."""
        self.transport.write(encoded(reply))  # type: ignore[union-attr]

    def look(self) -> None:
        """Answer an XREAD that waits, if there is something to read now."""
        if self._waits is not None:
            found = self._host.run(self._data, *self._waits)
            if found:
                self._answer(found)

    def _wait(self, words: list[bytes]) -> None:
        """Wait for what an XREAD wants, as long as it says; fakeredis would block everything."""
        at = words.index(b"BLOCK")
        self._waits = words[:at] + words[at + 2 :]
        self._timeout = self._host.after(int(words[at + 1]) / 1000, self._answer, None)
        self.look()

    def _answer(self, reply: Any) -> None:
        self._waits = None
        if self._timeout.active():
            self._timeout.cancel()
        if self in self._host.connections:
            self.reply(reply)

    def _do(self, words: list[bytes]) -> None:
        if words[0] == b"XREAD" and b"BLOCK" in words:
            self._wait(words)
            return
        host, name = self._host, self.name
        reply = host.run(self._data, *words)
        self.subscribed = self.subscribed or words[0] == b"SUBSCRIBE"
        if name in host.deaf and any(TOKEN in word for word in words):
            host.deaf.discard(name)
            host.tell("redis", "loses", f"a reply to {name}")
            host.connections.remove(self)
            self.transport.abortConnection()  # type: ignore[union-attr]
        else:
            self.reply(reply)
        host.publish()
        if words[0] in WRITING:
            host.wake()


class _Factory(Factory):
    noisy = False

    def __init__(self, host: RedisHost) -> None:
        self._host = host

    def buildProtocol(self, address: object) -> RedisEnd:
        return RedisEnd(self._host)


def encoded(reply: Any) -> bytes:
    """Write a reply as Redis does (RESP 2)."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, Exception):
        return b"-%s\r\n" % str(reply).encode()
    if isinstance(reply, list):
        return b"*%d\r\n%s" % (len(reply), b"".join(map(encoded, reply)))
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    data = reply if isinstance(reply, bytes) else str(reply).encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)
