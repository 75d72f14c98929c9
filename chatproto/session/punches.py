"""Connections that say which introduction they belong to, and introductions that come after them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from chatproto.wire.limits import Limits

Connection = TypeVar("Connection", bound=Hashable)


class Punches(Generic[Connection]):
    """Brings a PUNCH to its INTRODUCE, whichever comes first; `now` in seconds.

    A call is known for `limits.introduced_wait`, and a PUNCH of an unknown one waits `limits.punch_wait`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls: OrderedDict[str, float] = OrderedDict()  # known until then
        self._waiting: OrderedDict[Connection, tuple[str, float]] = OrderedDict()

    def introduced(self, call: str, now: float) -> list[Connection]:
        """`call` is known from now on; those who came too early."""
        self._calls.pop(call, None)
        self._calls[call] = now + self._limits.introduced_wait
        early = [one for one, (which, _) in self._waiting.items() if which == call]
        for one in early:
            del self._waiting[one]
        return early

    def came(self, connection: Connection, call: str, now: float) -> bool:
        """A PUNCH of `call` has come: whether it is known. If not, `connection` waits."""
        self._forget_calls(now)
        if call in self._calls:
            return True
        self._waiting[connection] = (call, now + self._limits.punch_wait)
        return False

    def lost(self, connection: Connection) -> None:
        """It has ended; nothing if it did not wait."""
        self._waiting.pop(connection, None)

    @property
    def deadline(self) -> float | None:
        """When `due` has something to say; None: never, as it is now."""
        return next((until for _, until in self._waiting.values()), None)

    def due(self, now: float) -> list[Connection]:
        """Those who have waited in vain, to be closed."""
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
