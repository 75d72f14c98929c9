"""What has happened at a server since its start, in numbers for whoever looks after it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

BOUNDS = (0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0)
"""Seconds: a call of the store is counted with the first of these that it did not exceed."""


class Spent:
    """How long calls of one kind took: how many were within each of `BOUNDS` or none, all in seconds."""

    __slots__ = ("counts", "failed", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.failed = 0

    def add(self, seconds: float, failed: bool) -> None:
        """One more call, which `failed` or not."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.failed += failed


class Counters:
    """Counts only, of nobody in particular: no id, key, address or word of anybody comes in here."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[int] = Counter()
        """Connections that were one too many, by the status that they were told."""
        self.requests: Counter[tuple[str, str]] = Counter()
        """By dialect and method; `-` for what was no request."""
        self.errors: Counter[tuple[str, int]] = Counter()
        """Refusals, by dialect and status."""
        self.store: dict[tuple[str, str], Spent] = {}
        """By the part of the store and the name of the call."""

    def asked(self, dialect: str, message: object) -> None:
        """Somebody sent `message`; what could not be read as one is counted all the same."""
        self.requests[dialect, getattr(message, "method", "-")] += 1

    def answered(self, dialect: str, message: object, reply: object) -> None:
        """Somebody sent `message` and was told `reply`."""
        self.asked(dialect, message)
        status = getattr(reply, "status", None)
        if isinstance(status, int):
            self.errors[dialect, status] += 1

    def spent(self, part: str, call: str, seconds: float, failed: bool) -> None:
        """The store's `part` was busy with `call` for so long."""
        found = self.store.get((part, call))
        if found is None:
            found = self.store[part, call] = Spent()
        found.add(seconds, failed)
