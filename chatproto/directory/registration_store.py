"""Store interface of keyed registrations: found by id, and kept over the end of the server."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Protocol

from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registrations import Registration


class RegistrationStore(Protocol):
    """The registrations of clients with keys, connected or away. Times are seconds of one clock.

    The directory knows by itself who is connected, and asks for the others by id when somebody wants
    them. A persistent store has written a change when `commit` or `forget` returns; both raise
    StoreTrouble where it cannot, and nothing has changed. `find` and `all` raise it for what cannot be
    read. The others never raise.
    """

    def __len__(self) -> int:
        """Return the number of registrations; some of them may have ended just now."""

    def find(self, client_id: str) -> Registration | None:
        """Return the registration of `client_id`; None if there is none, or its end has come."""

    def all(self) -> Iterable[Registration]:
        """Each registration that `find` returns, in the order in which they were made if that is known."""

    def commit(
        self, presence: Registration, now: float, host: str = "", gone: Iterable[str] = ()
    ) -> None:
        """Register `presence`, which is connected, and give the id to its key: all of it or nothing.

        What `IdOwners.keep` and `IdOwners.hide` say of the id goes with it.

        Args: host: the address that a new id comes from. gone: ids whose registrations end by it.
        """

    def left(self, presence: Registration) -> None:
        """Note that the connection has ended; `presence.until` is set."""

    def all_left(self, now: float) -> None:
        """Note that the last server ended with every connection; each `until` is `now + expires` at most."""

    def forget(self, client_id: str) -> None:
        """Take that one out, if it is in."""

    def expire(self, now: float, most: int = 1_000_000) -> bool:
        """Forget those that are not connected and whose `until` has come.

        From now on none of them is found. At most `most` are taken out; returns True if there may be more.
        """


class MemoryRegistrations:
    """A `RegistrationStore` in memory, over the owners `names`; it ends with the process."""

    def __init__(self, names: IdOwners) -> None:
        self._names = names
        self._all: dict[str, Registration] = {}
        self._ends: list[tuple[float, str]] = []  # a heap: which of them end when
        self._now = float("-inf")  # what ended until then is not found

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
        """Put in a registration as it is, in the place of the former of that id."""
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
