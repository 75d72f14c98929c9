"""Clients that are connected to this server; other servers know them by its name and a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from chatproto.directory.classic_registration import Origin
from chatproto.directory.registrations import ClientConnection
from chatproto.directory.shared_changes import OwnLease, OwnPresence
from chatproto.rooms.shared import OwnNode
from chatproto.wire.fields import fold

Own = TypeVar("Own")


class OwnIds(Generic[Own]):
    """Registrations of this server's clients, by id and by folded id."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Own]] = {}

    def __iter__(self) -> Iterator[str]:
        return (one for group in tuple(self._groups.values()) for one in tuple(group))

    def values(self) -> list[Own]:
        """Return all registrations."""
        return [one for group in self._groups.values() for one in group.values()]

    def get(self, client_id: str) -> Own | None:
        """Return the registration of `client_id`, or None."""
        return self.alike(client_id).get(client_id)

    def alike(self, client_id: str) -> dict[str, Own]:
        """Return the registrations of all ids that look like `client_id`, by id."""
        return self._groups.get(fold(client_id), {})

    def put(self, client_id: str, one: Own) -> None:
        """Add a registration, or replace the one of the same id."""
        self._groups.setdefault(fold(client_id), {})[client_id] = one

    def pop(self, client_id: str) -> Own | None:
        """Remove a registration and return it, or None."""
        group = self.alike(client_id)
        found = group.pop(client_id, None)
        if not group:
            self._groups.pop(fold(client_id), None)
        return found


class OwnClients:
    """Connections of this server and their registrations.

    Args: node: name of this server. seconds: monotonic time.
    """

    def __init__(self, node: OwnNode, seconds: Callable[[], float]) -> None:
        self.node = node
        self._seconds = seconds
        self.presences: OwnIds[OwnPresence] = OwnIds()
        """Registrations with a key."""
        self.leases: OwnIds[OwnLease] = OwnIds()
        """Classic registrations of open connections."""
        self.connections: dict[int, ClientConnection] = {}
        """Connections with a key that have sent a request, by number."""
        self.sources: dict[int, Origin] = {}
        """Plain connections that have sent a request, by number."""

    def is_known(self) -> bool:
        """Return True if the other servers know of this one, and count its clients as connected."""
        return self.node.is_valid(self._seconds())

    def check(self) -> None:
        """Raise StoreTrouble unless requests of clients may be carried out."""
        self.node.check(self._seconds())

    def of(self, client: ClientConnection) -> OwnPresence | None:
        """Return the registration of a client, or None."""
        found = self.presences.get(client.client_id) if client.client_id else None
        return found if found is not None and found.registration.client is client else None

    def connection(self, node: str, number: int) -> ClientConnection | None:
        """Return a connection with a key by its number; None if `node` is another server."""
        return self.connections.get(number) if node in self.node else None

    def origin(self, node: str, number: int) -> Origin | None:
        """Return a plain connection by its number; None if `node` is another server."""
        return self.sources.get(number) if node in self.node else None

    def lose(self, client: ClientConnection) -> OwnPresence | None:
        """Remove the registration of a client and return it: its id is free or of another connection now."""
        mine = self.of(client)
        if mine is not None:
            self.presences.pop(mine.registration.client_id)
        client.client_id = None
        return mine
