"""Tickets: who may go into which pipe (protocol section 5, Relay)."""

from __future__ import annotations

from base64 import b32encode
from collections import deque
from collections.abc import Callable

from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import value_class

TICKET_BYTES = 16


def new_ticket(random_bytes: Callable[[int], bytes]) -> str:
    """128 random bits in base32, unpadded: 26 letters and digits."""
    return b32encode(random_bytes(TICKET_BYTES)).decode().rstrip("=")


@value_class
class Slot:
    """Right that a ticket gives: one end of the relayed stream of `call`, until `until` (seconds).

    `asker`: the key that asked for the call, and whose limit it counts against.
    """

    call: str
    asker: str
    until: float


class Tickets:
    """Unused tickets. `make` makes a new one; `now` is in seconds.

    Two per call, each valid once and for `limits.ticket_wait`. At most `limits.tickets` per key that asked;
    the peer asked for is not charged, so that nobody can use up its limit.
    """

    def __init__(self, limits: ServerLimits, make: Callable[[], str]) -> None:
        self._limits = limits
        self._make = make
        self._places: dict[str, Slot] = {}
        self._by_age: deque[tuple[float, str]] = deque()
        self._held: dict[str, int] = {}  # by asker, how many are unused

    def __len__(self) -> int:
        return len(self._places)

    def issue(self, asker: str, call: str, now: float) -> tuple[str, str] | None:
        """One for `asker` and one for whom it calls; None if it holds too many."""
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
        """Forget those whose time is up."""
        while self._by_age and self._by_age[0][0] <= now:
            self._forget(self._by_age.popleft()[1])

    def _forget(self, ticket: str) -> Slot | None:
        place = self._places.pop(ticket, None)
        if place is not None:
            self._held[place.asker] -= 1
            if not self._held[place.asker]:
                del self._held[place.asker]
        return place
