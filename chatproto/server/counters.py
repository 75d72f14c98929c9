"""Count a server's requests, errors and store calls since its start, for `--metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

BOUNDS = (0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0)
"""Seconds: a call of the store is counted with the first of these that it did not exceed."""


class Spent:
    """Times of one kind of store call: a histogram over `BOUNDS`, the sum in seconds, the failures."""

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
        self.store: defaultdict[tuple[str, str], Spent] = defaultdict(Spent)
        """By the part of the store and the name of the call."""

    def asked(self, dialect: str, message: object) -> None:
        """Count a request; input that could not be parsed counts as method `-`."""
        self.requests[dialect, getattr(message, "method", "-")] += 1

    def answered(self, dialect: str, message: object, reply: object) -> None:
        """Count a request and the status of its answer."""
        self.asked(dialect, message)
        status = getattr(reply, "status", None)
        if isinstance(status, int):
            self.errors[dialect, status] += 1

    def spent(self, part: str, call: str, seconds: float, failed: bool) -> None:
        """The store's `part` was busy with `call` for so long."""
        self.store[part, call].add(seconds, failed)
