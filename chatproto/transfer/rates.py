"""Limit the bytes a second that are sent of files."""

from __future__ import annotations

from chatproto.net.rate_limiter import UNLIMITED, RateLimiter

RATE_BURST = 64 * 1024.0
"""Bytes that may be sent at once under a rate limit."""


def byte_rate(rate: float) -> RateLimiter:
    """Limit to `rate` bytes a second; 0 is no limit. One limiter may serve many conversations."""
    return RateLimiter(rate or UNLIMITED, RATE_BURST)
