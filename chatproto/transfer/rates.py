"""Share bandwidth: a byte rate, and a round robin of senders."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from chatproto.net.rate_limiter import UNLIMITED, RateLimiter

T = TypeVar("T")
M = TypeVar("M")

RATE_BURST = 64 * 1024.0
"""Bytes that may be sent at once under a rate limit."""


def byte_rate(rate: float) -> RateLimiter:
    """Limit to `rate` bytes a second; 0 is no limit. One limiter may serve many conversations."""
    return RateLimiter(rate or UNLIMITED, RATE_BURST)


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
