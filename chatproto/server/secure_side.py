"""What all secure connections share: the server's key, its directory, who may come in, who is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.lease import is_loopback
from chatproto.directory.visitors import Dismiss, Effect, Say, Visitor
from chatproto.identity.tls import Tls
from chatproto.server.login_side import EVERYBODY, LoginSide
from chatproto.server.room_side import RoomSide
from chatproto.server.secure import SecureConnection
from chatproto.wire.bcp2 import Closing
from chatproto.wire.bcp2_common import Error
from chatproto.wire.fields import plain_host

if TYPE_CHECKING:
    from chatproto.server.shared_side import SharedSide


class SecureSide:
    """What all secure connections share: the server's key, its directory, who may come in, who is there."""

    def __init__(
        self,
        tls: Tls,
        directory: KeyedDirectory,
        logins: LoginSide = EVERYBODY,
        rooms: RoomSide | None = None,
    ) -> None:
        self.tls = tls
        self.directory = directory
        self.logins = logins
        self.rooms = rooms
        self.shared: SharedSide | None = None
        """Who answers where several servers share what they know; None: this one alone does."""
        self.connections: dict[Visitor, SecureConnection] = {}
        if rooms is not None:
            rooms.connections = self.connections

    def begin(self, plain: Any, data: bytes) -> SecureConnection:
        """Go on with the connection of `plain`, whose first bytes `data` are TLS."""
        transport, host = plain.transport, plain.host
        local = is_loopback(host) or host == plain_host(transport.getHost().host)
        connection = SecureConnection(plain.factory, self, host, plain.port, local)
        connection.came = plain.came
        plain.transport = None
        connection.start(transport, data)
        return connection

    def carry_out(self, effects: list[Effect]) -> None:
        """Say what the rules want said."""
        for effect in effects:
            connection = self.connections.get(effect.visitor)
            if connection is None:
                continue
            match effect:
                case Say(_, message):
                    connection.say(message)
                case Dismiss(_, message):
                    connection.dismiss(message)

    def put_out(self) -> None:
        """Dismiss who is let in no more."""
        for visitor, connection in tuple(self.connections.items()):
            if not self.logins.lets(visitor.key):
                connection.dismiss(Error(403))

    def close(self, retry_after: Callable[[], int]) -> None:
        """Tell everybody to come back after `retry_after()` seconds, each after another while."""
        if self.rooms is not None:
            self.rooms.flush()
            self.rooms.ends = True
        for connection in tuple(self.connections.values()):
            connection.dismiss(Closing(retry_after()))
