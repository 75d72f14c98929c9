"""Estimate the rate of a transfer and the time left."""

from __future__ import annotations

from collections import deque

SPAN = 5.0
"""Seconds over which the rate is averaged."""


class Progress:
    """Rate of one transfer, computed from samples of its offset."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now: float, offset: int) -> None:
        """Add the sample `offset` at `now`; start over if either decreases."""
        if self._seen and (offset < self._seen[-1][1] or now < self._seen[-1][0]):
            self._seen.clear()
        if self._seen and self._seen[-1][0] == now:
            self._seen.pop()
        self._seen.append((now, offset))
        while len(self._seen) > 2 and self._seen[1][0] <= now - SPAN:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second; 0 if unknown."""
        if len(self._seen) < 2:
            return 0.0
        (began, start), (ended, end) = self._seen[0], self._seen[-1]
        return (end - start) / (ended - began)

    def left(self, size: int) -> float | None:
        """Return the seconds until `size` bytes are transferred at this rate; None if unknown."""
        if not self._seen or ((missing := size - self._seen[-1][1]) and not self.rate):
            return None
        return missing / self.rate if missing else 0.0
