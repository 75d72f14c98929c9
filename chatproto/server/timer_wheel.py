"""Deadlines of many connections in one table, so that none of them needs its own timer."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class TimerWheel(Generic[Key]):
    """Keys by deadline, in steps of `grain` seconds.

    A key never expires early, and late by at most `grain` and the time between two calls of `expire`.
    """

    def __init__(self, grain: float = 0.1) -> None:
        self.grain = grain
        self._slots: dict[int, set[Key]] = {}
        self._order: list[int] = []  # heap of slot numbers
        self._slot_of: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._slot_of)

    def __contains__(self, key: Key) -> bool:
        return key in self._slot_of

    def set(self, key: Key, deadline: float) -> None:
        """Add `key`, or change its deadline."""
        slot = int(deadline / self.grain) + 1
        if self._slot_of.get(key) == slot:
            return
        self.discard(key)
        self._slot_of[key] = slot
        if slot not in self._slots:
            self._slots[slot] = set()
            heappush(self._order, slot)
        self._slots[slot].add(key)

    def discard(self, key: Key) -> None:
        """Remove `key`, if it is there."""
        slot = self._slot_of.pop(key, None)
        if slot is not None:
            self._slots[slot].discard(key)

    def expire(self, now: float, most: int = 1_000_000) -> list[Key]:
        """Remove and return at most `most` keys whose deadline has passed, the earliest first."""
        due: list[Key] = []
        while self.is_due(now) and len(due) < most:
            slot = self._slots[self._order[0]]
            while slot and len(due) < most:
                key = slot.pop()
                del self._slot_of[key]
                due.append(key)
            if not slot:
                del self._slots[heappop(self._order)]
        return due

    def is_due(self, now: float) -> bool:
        """Return True if a step has passed that `expire` has not emptied."""
        return bool(self._order) and self._order[0] * self.grain <= now
