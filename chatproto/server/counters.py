"""Count a server's requests, errors and store calls since its start, for `--metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

BOUNDS = (0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0)
"""Upper bounds of the histogram of store calls, in seconds."""


class Spent:
    """Times of one kind of store call: a histogram over `BOUNDS`, the sum in seconds, the failures."""

    __slots__ = ("counts", "failed", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.failed = 0

    def add(self, seconds: float, failed: bool) -> None:
        """Count one call."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.failed += failed


class Counters:
    """Counters of a server; they contain no id, key, address or text."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[int] = Counter()
        """Connections refused by a limit, by the status of the refusal."""
        self.requests: Counter[tuple[str, str]] = Counter()
        """Requests by dialect and method; `-` for input that could not be parsed."""
        self.errors: Counter[tuple[str, int]] = Counter()
        """Error answers, by dialect and status."""
        self.store: defaultdict[tuple[str, str], Spent] = defaultdict(Spent)
        """Times of store calls, by the part of the store and the name of the call."""

    def count_request(self, dialect: str, message: object) -> None:
        """Count a request; input that could not be parsed counts as method `-`."""
        self.requests[dialect, getattr(message, "method", "-")] += 1

    def answered(self, dialect: str, message: object, reply: object) -> None:
        """Count a request and the status of its answer."""
        self.count_request(dialect, message)
        status = getattr(reply, "status", None)
        if isinstance(status, int):
            self.errors[dialect, status] += 1

    def spent(self, part: str, call: str, seconds: float, failed: bool) -> None:
        """Count a call of the store's `part`, which took `seconds`."""
        self.store[part, call].add(seconds, failed)
