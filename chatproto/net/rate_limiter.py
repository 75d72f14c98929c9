"""Token buckets: one for a single source, and a bounded table of them by key.

Pure rules: `now` is passed in, in seconds of any clock, and no timer is set here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

UNLIMITED = float("inf")
"""A rate that limits nothing."""
ROUNDING = 1e-6
"""Seconds by which a token may be taken too early, so that nobody waits for a rounding error."""
EXAMINED = 8
"""Keys of a full table that one new key examines for one that can be forgotten."""


class RateLimiter:
    """A token bucket: `burst` tokens at once, refilled at `rate` tokens a second.

    `take` may overdraw the bucket; the debt is then waited for. Within any T seconds at most
    `burst + rate * T` tokens are taken by `allow`, and by `take` at most one cost more.
    A clock that is set back refills nothing and locks nobody out.
    """

    __slots__ = ("_burst", "_rate", "_seen", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._seen = 0.0

    def wait(self, now: float, cost: float = 1.0) -> float:
        """Return the seconds until `cost` tokens may be taken: 0 for now, infinity for never.

        A cost above the burst has to wait for a full bucket, and then overdraws it.
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
        """Take `cost` tokens if `wait` is over, and return whether they were taken."""
        if self.wait(now, cost) > 0:
            return False
        self._tokens -= cost
        return True

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens, be they there or not.

        Returns: seconds until the debt is made up for; 0 if there is none.
        """
        if self._rate == UNLIMITED:
            return 0.0
        if now != self._seen:
            self._refill(now)
        self._tokens -= cost
        return self.wait(now, 0.0) if self._tokens < 0 else 0.0

    def is_full(self, now: float) -> bool:
        """Return True if the bucket differs in nothing from a new one."""
        self._refill(now)
        return self._tokens >= self._burst

    def _refill(self, now: float) -> None:
        if now > self._seen:
            self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now


class RateLimiters(Generic[Key]):
    """A `RateLimiter` for each key, at most `most` of them.

    Only a full bucket is ever forgotten: it differs in nothing from a new one, so a flood of new keys
    gives no key a fresh burst. While none can be forgotten, new keys share one bucket.
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
        """Take `cost` tokens of `key` if they are there; see `RateLimiter.allow`."""
        return self._of(key, now).allow(now, cost)

    def take(self, key: Key, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens of `key`, be they there or not; see `RateLimiter.take`."""
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
        """Forget a few full buckets; return True if there is no room for a new one even so."""
        for _ in range(min(EXAMINED, len(self._by_key))):
            key, limiter = next(iter(self._by_key.items()))
            if limiter.is_full(now):
                del self._by_key[key]
            elif len(self._by_key) < self._most:
                break
            else:
                self._by_key.move_to_end(key)
        return len(self._by_key) >= self._most
