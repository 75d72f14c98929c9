"""Match connections that begin with PUNCH to introductions, whichever comes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

INTRODUCED_WAIT = 60.0
"""Seconds for which an INTRODUCE identifies the caller."""
PUNCH_WAIT = 5.0
"""Seconds for which a PUNCH waits for its INTRODUCE."""

Connection = TypeVar("Connection", bound=Hashable)


class Punches(Generic[Connection]):
    """Match introductions and early connections; `now` is in seconds.

    An introduction is known for `INTRODUCED_WAIT`; a connection whose introduction is unknown
    waits for `PUNCH_WAIT`.
    """

    def __init__(self) -> None:
        self._calls: OrderedDict[str, float] = OrderedDict()  # call -> when it expires
        self._waiting: OrderedDict[Connection, tuple[str, float]] = OrderedDict()

    def introduced(self, call: str, now: float) -> list[Connection]:
        """Add the introduction `call`; return the connections that arrived before it."""
        self._calls.pop(call, None)
        self._calls[call] = now + INTRODUCED_WAIT
        early = [one for one, (which, _) in self._waiting.items() if which == call]
        for one in early:
            del self._waiting[one]
        return early

    def received(self, connection: Connection, call: str, now: float) -> bool:
        """Handle a PUNCH of `call`; return False if the call is unknown: then `connection` waits."""
        self._forget_calls(now)
        if call in self._calls:
            return True
        self._waiting[connection] = (call, now + PUNCH_WAIT)
        return False

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._waiting.pop(connection, None)

    @property
    def deadline(self) -> float | None:
        """Return the time at which to call `due`; None: never."""
        return next((until for _, until in self._waiting.values()), None)

    def due(self, now: float) -> list[Connection]:
        """Return the connections that have waited too long, to be closed."""
        self._forget_calls(now)
        late = [one for one, (_, until) in self._waiting.items() if until <= now]
        for one in late:
            del self._waiting[one]
        return late

    def _forget_calls(self, now: float) -> None:
        while self._calls:
            call, until = next(iter(self._calls.items()))
            if until > now:
                return
            del self._calls[call]
