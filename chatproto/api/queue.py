"""Hold the events that a program has not read yet, at most 1,000."""

from __future__ import annotations

from collections import deque

from chatproto.api.events import Event, Lagged

MOST = 1000
"""Events that wait; the oldest make room for new ones."""


class EventQueue:
    """Keep the newest `most` events, and the number of those that were dropped.

    Pure. A program that reads too slowly misses events and learns how many; nobody waits for it.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: deque[Event] = deque()
        self._lost = 0

    def __len__(self) -> int:
        return len(self._waiting) + bool(self._lost)

    def put(self, event: Event) -> None:
        """Add `event`, and drop the oldest one if there are too many."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)

    def take(self) -> Event | None:
        """Remove and return the next event; None if none waits.

        `Lagged` comes before the first event that follows those that were dropped.
        """
        if self._lost:
            lost, self._lost = self._lost, 0
            return Lagged(lost)
        return self._waiting.popleft() if self._waiting else None
