"""Send messages to single clients of several servers: here at once, elsewhere through the shared log."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.directory.registrations import ClientConnection
from chatproto.server import commands as told
from chatproto.server.secure_side import SecureSide
from chatproto.wire import strict
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits


class ClientPushes:
    """`secure`: clients of this server, and the directory. `write` puts a command into the log."""

    def __init__(
        self,
        secure: SecureSide,
        write: Callable[[told.Push | told.Used], None] = lambda command: None,
        limits: ServerLimits = SERVER_DEFAULTS,
    ) -> None:
        self._secure = secure
        self._write = write
        self._limits = limits

    def tell(self, client_id: str, message: Bcp2Message) -> None:
        """Send `message` to the client that is registered as `client_id`; drop it if there is none."""
        visitor = self._secure.directory.find(client_id)
        if visitor is None:
            return
        connection = self._secure.connections.get(visitor)
        if connection is not None:
            connection.say(message)
        else:
            self.send(visitor, message)

    def send(self, visitor: ClientConnection, message: Bcp2Message) -> None:
        """Have another server send `message` to one of its clients."""
        text = strict.encode(message, self._limits).decode()
        self._write(told.Push(visitor.node, visitor.number, text))

    def note_use(self, visitor: ClientConnection) -> None:
        """Have all servers know that a client has done more with its id than register it."""
        self._write(told.Used(visitor.node, visitor.number))
