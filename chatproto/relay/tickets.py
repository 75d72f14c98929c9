"""Tickets: who may go into which pipe (protocol section 5, Relay)."""

from __future__ import annotations

from base64 import b32encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from chatproto.wire.limits import Limits

TICKET_BYTES = 16


def new_ticket(random_bytes: Callable[[int], bytes]) -> str:
    """128 random bits in base32, unpadded: 26 letters and digits."""
    return b32encode(random_bytes(TICKET_BYTES)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Slot:
    """What a ticket is good for: one end of the pipe of `call`, to be taken before `until` (seconds).

    `asker`: the key that asked for the call, on whose account the pipe goes.
    """

    call: str
    asker: str
    until: float


class Tickets:
    """Those that have been handed out and not been used. `make` makes a new one; `now` in seconds.

    Two for a call, each good once and for `limits.ticket_wait`; at most `limits.tickets` of them for
    what one key has asked for. Those of whom is asked for are not counted: nobody can use up theirs.
    """

    def __init__(self, limits: Limits, make: Callable[[], str]) -> None:
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
        """What `ticket` is good for, once; None for one that is not good, or no more."""
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
