"""Estimate the rate of a transfer and the time left."""

from __future__ import annotations

from collections import deque

SPAN = 5.0
"""The rate is that of so many last seconds."""


class Progress:
    """The rate of one transfer, from what it is told of its place from time to time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now: float, offset: int) -> None:
        """Note `offset` bytes at `now`; starts over if either goes backwards."""
        if self._seen and (offset < self._seen[-1][1] or now < self._seen[-1][0]):
            self._seen.clear()
        if self._seen and self._seen[-1][0] == now:
            self._seen.pop()
        self._seen.append((now, offset))
        while len(self._seen) > 2 and self._seen[1][0] <= now - SPAN:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes a second; 0 where nothing is known."""
        if len(self._seen) < 2:
            return 0.0
        (began, start), (ended, end) = self._seen[0], self._seen[-1]
        return (end - start) / (ended - began)

    def left(self, size: int) -> float | None:
        """Seconds until `size` bytes are there, at this rate; None where it cannot be said."""
        if not self._seen or ((missing := size - self._seen[-1][1]) and not self.rate):
            return None
        return missing / self.rate if missing else 0.0
