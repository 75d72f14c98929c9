"""Pair the two clients that hold the tickets of one call."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from chatproto.relay.tickets import Tickets
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import value_class

Who = TypeVar("Who", bound=Hashable)


@value_class
class Waiting:
    """The other is not here yet, and is waited for until then (seconds)."""

    until: float


@value_class
class Met(Generic[Who]):
    """The other was here already."""

    other: Who


class Pairing(Generic[Who]):
    """Brings the two of a call together. Nobody waits longer than the other's ticket is good."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._waiting: dict[str, Who] = {}  # by call
        self._calls: dict[Who, str] = {}  # of those who wait

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, who: Who, ticket: str, now: float) -> Waiting | Met[Who]:
        """`who` has come with `ticket`. Raises RemoteError 403 if it is not good, or no more."""
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
        """`who` waits no longer; nothing if they did not."""
        call = self._calls.pop(who, None)
        if call is not None:
            del self._waiting[call]
