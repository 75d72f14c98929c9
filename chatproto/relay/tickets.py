"""Tickets, and the pairing of the two clients of one call (PROTOCOL.md section 5, Relay)."""

from __future__ import annotations

from base64 import b32encode
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import value_class

Who = TypeVar("Who", bound=Hashable)
TICKET_BYTES = 16


def new_ticket(random_bytes: Callable[[int], bytes]) -> str:
    """Return 128 random bits in unpadded base32: 26 letters and digits."""
    return b32encode(random_bytes(TICKET_BYTES)).decode().rstrip("=")


@value_class
class Slot:
    """Right that a ticket gives: to join the pipe of `call` until `until` (monotonic seconds).

    `asker`: key that asked for the call; the ticket counts against its limit.
    """

    call: str
    asker: str
    until: float


class Tickets:
    """Unused tickets. `make` returns a new one; `now` is in seconds.

    Each call has two, each valid once and for `limits.ticket_wait`. An asking key has at most
    `limits.tickets`. The called peer is not charged, so that others cannot use up its limit.
    """

    def __init__(self, limits: ServerLimits, make: Callable[[], str]) -> None:
        self._limits = limits
        self._make = make
        self._places: dict[str, Slot] = {}
        self._by_age: deque[tuple[float, str]] = deque()
        self._held: dict[str, int] = {}  # number of unused tickets by asker

    def __len__(self) -> int:
        return len(self._places)

    def issue(self, asker: str, call: str, now: float) -> tuple[str, str] | None:
        """Issue two tickets, one for `asker` and one for the peer it calls; None if `asker` has too many."""
        self.expire(now)
        if self._held.get(asker, 0) + 2 > self._limits.tickets:
            return None
        place = Slot(call, asker, now + self._limits.ticket_wait)
        one, other = self._make(), self._make()
        for ticket in (one, other):
            self._places[ticket] = place
            self._by_age.append((place.until, ticket))
        self._held[asker] = self._held.get(asker, 0) + 2
        return one, other

    def use(self, ticket: str, now: float) -> Slot | None:
        """Use up `ticket` and return its right; None if it is unknown, used or expired."""
        self.expire(now)
        return self._forget(ticket)

    def expire(self, now: float) -> None:
        """Remove expired tickets."""
        while self._by_age and self._by_age[0][0] <= now:
            self._forget(self._by_age.popleft()[1])

    def _forget(self, ticket: str) -> Slot | None:
        place = self._places.pop(ticket, None)
        if place is not None:
            self._held[place.asker] -= 1
            if not self._held[place.asker]:
                del self._held[place.asker]
        return place


@value_class
class Waiting:
    """Result: the other end has not joined; it is awaited until `until` (monotonic seconds)."""

    until: float


@value_class
class Met(Generic[Who]):
    """Result: the other end had joined before."""

    other: Who


class Pairing(Generic[Who]):
    """Pair the two clients of each call; waiting ends when the other ticket expires."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._waiting: dict[str, Who] = {}  # by call
        self._calls: dict[Who, str] = {}  # of waiting clients

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, who: Who, ticket: str, now: float) -> Waiting | Met[Who]:
        """Let `who` join with `ticket`. Raises RemoteError 403 if it is unknown, used or expired."""
        place = self._tickets.use(ticket, now)
        if place is None:
            raise RemoteError(403, "no such ticket")
        other = self._waiting.pop(place.call, None)
        if other is not None:
            del self._calls[other]
            return Met(other)
        self._waiting[place.call] = who
        self._calls[who] = place.call
        return Waiting(place.until)

    def leave(self, who: Who) -> None:
        """Remove `who` from the waiting clients, if it is one."""
        call = self._calls.pop(who, None)
        if call is not None:
            del self._waiting[call]
