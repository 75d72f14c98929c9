"""Limit the rate at which files are sent."""

from __future__ import annotations

from chatproto.net.rate_limiter import UNLIMITED, RateLimiter

RATE_BURST = 64 * 1024.0
"""Bytes that may be sent at once under a rate limit."""


def byte_rate(rate: float) -> RateLimiter:
    """Return a limiter for `rate` bytes per second, 0 for no limit, which all conversations share."""
    return RateLimiter(rate or UNLIMITED, RATE_BURST)
