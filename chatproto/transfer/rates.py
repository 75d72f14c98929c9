"""Share bandwidth: a token bucket of bytes, and a round robin of senders."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
M = TypeVar("M")


class Bucket:
    """At most `rate` bytes a second over any time, and `burst` more at once; rate 0 is no limit.

    What is taken may be more than there is: then the next waits until that is made up for. One bucket
    may serve many conversations.
    """

    def __init__(self, rate: float, burst: float = 64 * 1024.0) -> None:
        self.rate = rate
        self._burst = burst
        self._level = burst
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until something may be taken; 0 for now."""
        if not self.rate:
            return 0.0
        if self._at is not None and now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self.rate)
        self._at = now
        return 0.0 if self._level > 0 else (1 - self._level) / self.rate

    def take(self, count: int) -> None:
        """`count` bytes are sent."""
        if self.rate:
            self._level -= count


class RoundRobin(Generic[T]):
    """Round robin: each member gives one thing and then waits for the others."""

    def __init__(self) -> None:
        self._circle: deque[T] = deque()

    def __contains__(self, one: T) -> bool:
        return one in self._circle

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._circle))

    def __len__(self) -> int:
        return len(self._circle)

    def add(self, one: T) -> None:
        """Append `one`, unless it is in the circle already."""
        if one not in self._circle:
            self._circle.append(one)

    def discard(self, one: T) -> None:
        """Remove `one`, if it is in the circle."""
        if one in self._circle:
            self._circle.remove(one)

    def next(self, give: Callable[[T], M | None]) -> M | None:
        """Return the first thing that a member gives, and move that member to the end.

        Args: give: asked for each member in turn; None if the member has nothing.
        """
        for one in tuple(self._circle):
            given = give(one)
            if given is not None:
                if one in self._circle:
                    self._circle.remove(one)
                    self._circle.append(one)
                return given
        return None
