"""Limit how often a password may be wrong."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

MINUTE = 60.0
MOST = 100_000
"""Addresses and users that are remembered at most; the oldest are forgotten."""


class PasswordTries:
    """Limit wrong passwords to `most` per minute under each name; `now` is in seconds.

    Correct passwords are not counted: a whole class behind one address may log in at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()  # the latest last

    def wait(self, names: Iterable[str], now: float) -> float:
        """Seconds until one more try is allowed under all of `names`; 0 if it is now."""
        return max((self._wait(name, now) for name in names), default=0.0)

    def wrong(self, names: Iterable[str], now: float) -> None:
        """Count one wrong password under each of `names`."""
        for name in names:
            times = self._wrong.setdefault(name, deque(maxlen=max(1, self._most)))
            times.append(now)
            self._wrong.move_to_end(name)
        while len(self._wrong) > MOST:
            self._wrong.popitem(last=False)

    def _wait(self, name: str, now: float) -> float:
        if self._most == 0:
            return MINUTE
        times = self._wrong.get(name)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + MINUTE - now)
