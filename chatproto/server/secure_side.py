"""Share the server's key, directory, login rules and clients among all secure connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection, Dismiss, Effect, PushTo
from chatproto.identity.tls import Tls
from chatproto.net.addresses import is_loopback
from chatproto.server.login_side import EVERYBODY, LoginSide
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.room_side import RoomSide
from chatproto.server.secure import SecureConnection
from chatproto.server.work_queue import Chore, WorkQueue
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_server import Closing, Presence
from chatproto.wire.fields import plain_host

if TYPE_CHECKING:
    from chatproto.server.shared_directory.directory import SharedDirectory


AT_ONCE = 64
"""Presence messages that are sent without a pause; more are queued."""


class SecureSide:
    """Shared state of all secure connections: the server's key, directory, login rules, clients.

    `turns`: work queue for messages to many clients. `delivery`: sender of room messages if several servers
    share the rooms; then `rooms` is None.
    """

    def __init__(
        self,
        tls: Tls,
        directory: KeyedDirectory,
        turns: WorkQueue,
        logins: LoginSide = EVERYBODY,
        rooms: RoomSide | None = None,
        delivery: RoomDelivery | None = None,
    ) -> None:
        self.tls = tls
        self.directory = directory
        self.logins = logins
        self.rooms = rooms
        self.delivery = delivery or rooms
        self.shared: SharedDirectory | None = None
        """Directory that several servers share; None if this server shares none."""
        self.turns = turns
        self._pushes: dict[tuple[ClientConnection, str], Presence] = {}
        self._chore = Chore(self._push)
        self.connections: dict[ClientConnection, SecureConnection] = {}
        if self.delivery is not None:
            self.delivery.connections = self.connections

    def begin(self, plain: Any, data: bytes) -> SecureConnection:
        """Take over the connection of `plain`, whose first bytes `data` are TLS."""
        transport, host = plain.transport, plain.host
        local = is_loopback(host) or host == plain_host(transport.getHost().host)
        connection = SecureConnection(plain.factory, self, host, plain.port, local, plain.use)
        connection.came = plain.came
        plain.transport = None
        connection.start(transport, data)
        return connection

    def apply(self, effects: list[Effect]) -> None:
        """Send the messages of `effects`."""
        waits = bool(self._pushes) or len(effects) > AT_ONCE
        for effect in effects:
            connection = self.connections.get(effect.client)
            if connection is None:
                continue
            if waits and isinstance(effect.message, Presence):
                # Only the last presence of a peer is sent to a client, in the order of the last changes.
                key = effect.client, effect.message.peer_id
                self._pushes.pop(key, None)
                self._pushes[key] = effect.message
                continue
            match effect:
                case PushTo(_, message):
                    connection.say(message)
                case Dismiss(_, message):
                    connection.dismiss(message)
        if waits and self._pushes:
            self.turns.later(self._chore)

    def _push(self) -> bool:
        """Send one queued presence message; return True if more are queued."""
        for key in self._pushes:
            message = self._pushes.pop(key)
            connection = self.connections.get(key[0])
            if connection is not None:
                connection.say(message)
            break
        return bool(self._pushes)

    async def owns(self, key: str, client_id: str) -> bool:
        """Return True if `key` is known to own `client_id`."""
        if self.shared is not None:
            return await self.shared.owns(key, client_id)
        return self.directory.owns(key, client_id)

    def dismiss_denied(self) -> None:
        """Dismiss clients that are no longer allowed, a few in each turn."""
        self._each(self._dismiss_if_denied)

    def _dismiss_if_denied(self, client: ClientConnection) -> None:
        if not self.logins.allows(client.key):
            self.connections[client].dismiss(Error(403))

    def close(self, retry_after: Callable[[], int], then: Callable[[], object]) -> None:
        """Dismiss all clients with CLOSING, a few in each turn; then call `then`.

        `retry_after`: returns the seconds after which a client reconnects.
        """
        if self.delivery is not None:
            self.delivery.close()
        self._each(lambda one: self.connections[one].dismiss(Closing(retry_after())), then)

    def _each(
        self,
        work: Callable[[ClientConnection], object],
        then: Callable[[], object] | None = None,
    ) -> None:
        """Call `work` with each client that is still connected when its turn comes."""

        def with_one(client: ClientConnection) -> None:
            if client in self.connections:
                work(client)

        self.turns.each(self.connections, with_one, then)
