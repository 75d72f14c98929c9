"""How fast bytes may go: a bucket of tokens, which may be overdrawn and is then waited for."""

from __future__ import annotations


class RelayBucket:
    """`rate` bytes a second, and `burst` at once; a rate of 0 is no limit. `now` in seconds."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self._burst = burst
        self._tokens = burst
        self._seen = now

    def take(self, amount: int, now: float) -> float:
        """`amount` bytes have gone: how many seconds the next ones have to wait."""
        if not self.rate:
            return 0.0
        gained = max(0.0, now - self._seen) * self.rate
        self._seen = now
        self._tokens = min(self._burst, self._tokens + gained) - amount
        return max(0.0, -self._tokens / self.rate)
