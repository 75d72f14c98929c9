"""Token buckets: one for a single source, and a bounded table of them by key.

Pure rules: `now` is passed in, in seconds of any clock, and no timers are used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

UNLIMITED = float("inf")
"""Rate of a limiter without a limit."""
ROUNDING = 1e-6
"""Seconds by which a token may be taken too early, so that rounding errors cause no delays."""
EXAMINED = 8
"""Keys of a full table that are examined for one that can be removed, for each new key."""


class RateLimiter:
    """Token bucket: `burst` tokens at once, refilled at `rate` tokens per second.

    `take` may overdraw the bucket; the caller then waits for the debt. Within any T seconds at most
    `burst + rate * T` tokens are taken by `allow`, and by `take` at most one cost more. A clock that is
    set back refills nothing and locks nothing.
    """

    __slots__ = ("_burst", "_rate", "_seen", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._seen = 0.0

    def wait(self, now: float, cost: float = 1.0) -> float:
        """Return the seconds until `cost` tokens may be taken: 0 for now, infinity for never.

        A cost above the burst requires a full bucket, and then overdraws it.
        """
        rate = self._rate
        if rate == UNLIMITED:
            return 0.0
        if now != self._seen:
            self._refill(now)
        missing = (cost if cost < self._burst else self._burst) - self._tokens
        if missing <= rate * ROUNDING:
            return 0.0
        return missing / rate if rate else UNLIMITED

    def allow(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens if `wait` is 0, and return True if they were taken."""
        if self.wait(now, cost) > 0:
            return False
        self._tokens -= cost
        return True

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens, even if they are not available.

        Returns: seconds until the debt is repaid; 0 if there is none.
        """
        if self._rate == UNLIMITED:
            return 0.0
        if now != self._seen:
            self._refill(now)
        self._tokens -= cost
        return self.wait(now, 0.0) if self._tokens < 0 else 0.0

    def is_full(self, now: float) -> bool:
        """Return True if the bucket is in the state of a new one."""
        self._refill(now)
        return self._tokens >= self._burst

    def _refill(self, now: float) -> None:
        if now > self._seen:
            self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now


class RateLimiters(Generic[Key]):
    """A `RateLimiter` for each key, at most `most` of them.

    Only full buckets are removed: they equal new ones, so a flood of new keys gives no key a fresh
    burst. If none can be removed, new keys share one bucket.
    """

    def __init__(self, rate: float, burst: float, most: int) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._by_key: OrderedDict[Key, RateLimiter] = OrderedDict()  # the longest unused first
        self._shared = RateLimiter(rate, burst)

    def __len__(self) -> int:
        return len(self._by_key)

    def wait(self, key: Key, now: float, cost: float = 1.0) -> float:
        """Return the seconds until `key` may take `cost` tokens; see `RateLimiter.wait`."""
        limiter = self._by_key.get(key)
        if limiter is not None:
            return limiter.wait(now, cost)
        return self._shared.wait(now, cost) if self._is_crowded(now) else 0.0

    def allow(self, key: Key, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens of `key` if they are available; see `RateLimiter.allow`."""
        return self._of(key, now).allow(now, cost)

    def take(self, key: Key, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens of `key`, even if they are not available; see `RateLimiter.take`."""
        return self._of(key, now).take(now, cost)

    def _of(self, key: Key, now: float) -> RateLimiter:
        limiter = self._by_key.get(key)
        if limiter is not None:
            self._by_key.move_to_end(key)
            return limiter
        if self._is_crowded(now):
            return self._shared
        limiter = self._by_key[key] = RateLimiter(self._rate, self._burst)
        return limiter

    def _is_crowded(self, now: float) -> bool:
        """Remove a few full buckets; return True if there is still no room for a new one."""
        for _ in range(min(EXAMINED, len(self._by_key))):
            key, limiter = next(iter(self._by_key.items()))
            if limiter.is_full(now):
                del self._by_key[key]
            elif len(self._by_key) < self._most:
                break
            else:
                self._by_key.move_to_end(key)
        return len(self._by_key) >= self._most
