"""Store interface of keyed registrations: found by id, and stored beyond the end of the server."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Protocol

from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registrations import Registration


class RegistrationStore(Protocol):
    """Registrations of clients with keys, connected or away. Times are seconds of one clock.

    The directory itself knows which clients are connected, and looks up the others by id. A persistent
    store has written a change when `commit` or `forget` returns; both raise StoreTrouble on failure,
    and nothing has changed. `find` and `all` raise it for data that cannot be read. The other methods
    never raise.
    """

    def __len__(self) -> int:
        """Return the number of registrations; some of them may have expired just now."""

    def find(self, client_id: str) -> Registration | None:
        """Return the registration of `client_id`; None if there is none, or it has expired."""

    def all(self) -> Iterable[Registration]:
        """Return each registration that `find` returns, in the order of their creation if that is
        known.
        """

    def commit(
        self, presence: Registration, now: float, host: str = "", gone: Iterable[str] = ()
    ) -> None:
        """Store `presence`, which is connected, and give the id to its key: both or neither.

        Includes what `IdOwners.keep` and `IdOwners.hide` store for the id.

        Args: host: address that a new id comes from. gone: ids whose registrations end with it.
        """

    def left(self, presence: Registration) -> None:
        """Note that the connection has ended; `presence.until` is set."""

    def all_left(self, now: float) -> None:
        """Note that the last server ended with every connection; each `until` is `now + expires` at
        most.
        """

    def forget(self, client_id: str) -> None:
        """Remove the registration, if there is one."""

    def expire(self, now: float, most: int = 1_000_000) -> bool:
        """Remove registrations that are not connected and whose `until` has passed.

        From now on `find` returns none of them. At most `most` are removed; returns True if there may
        be more.
        """


class MemoryRegistrations:
    """A `RegistrationStore` in memory, over the owners `names`; it ends with the process."""

    def __init__(self, names: IdOwners) -> None:
        self._names = names
        self._all: dict[str, Registration] = {}
        self._ends: list[tuple[float, str]] = []  # a heap: id by time of expiry
        self._now = float("-inf")  # registrations that expired before are not found

    def __len__(self) -> int:
        return len(self._all)

    def find(self, client_id: str) -> Registration | None:
        found = self._all.get(client_id)
        if found is None or (found.until is not None and found.until <= self._now):
            return None
        return found

    def all(self) -> Iterable[Registration]:
        return (one for one in self._all.values() if one.until is None or one.until > self._now)

    def commit(
        self, presence: Registration, now: float, host: str = "", gone: Iterable[str] = ()
    ) -> None:
        client_id = presence.client_id
        self._names.keep(client_id, presence.key, now, host, trial=not presence.proven)
        self._names.hide(client_id, None if presence.listed else presence.allow)
        for one in gone:
            self.forget(one)
        self.put(presence)

    def put(self, presence: Registration) -> None:
        """Store a registration unchanged; it replaces a former one with that id."""
        self._all.pop(presence.client_id, None)
        self._all[presence.client_id] = presence
        if presence.until is not None:
            heappush(self._ends, (presence.until, presence.client_id))

    def left(self, presence: Registration) -> None:
        if presence.client_id in self._all and presence.until is not None:
            self._all[presence.client_id] = presence
            heappush(self._ends, (presence.until, presence.client_id))

    def all_left(self, now: float) -> None:
        for client_id, one in self._all.items():
            resumed = self._all[client_id] = one.resumed(now)
            heappush(self._ends, (resumed.until or now, client_id))

    def forget(self, client_id: str) -> None:
        self._all.pop(client_id, None)

    def expire(self, now: float, most: int = 1_000_000) -> bool:
        self._now = max(self._now, now)
        for _ in range(most):
            if not self._ends or self._ends[0][0] > now:
                return False
            until, client_id = heappop(self._ends)
            found = self._all.get(client_id)
            if found is not None and found.until == until:  # not renewed meanwhile
                del self._all[client_id]
        return True
