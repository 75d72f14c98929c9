"""Limit how fast one client may send to rooms; excess is read later, not refused."""

from __future__ import annotations

from chatproto.net.rate_limiter import RateLimiter
from chatproto.wire.limits import ServerLimits

_LONGEST = 60.0


class SpeakerLimiter:
    """Limit one speaker's messages (`say_rate`, `say_burst`) and bytes (`say_bytes` a second).

    A message may overdraw the bytes; the next one then waits. `now` is in seconds.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._messages = RateLimiter(limits.say_rate, max(1, limits.say_burst))
        self._bytes = RateLimiter(limits.say_bytes, limits.say_bytes)

    def wait(self, now: float) -> float:
        """Return the seconds until the next message may be read, at most a minute; 0 for now."""
        return min(max(self._messages.wait(now), self._bytes.wait(now, 0.0)), _LONGEST)

    def spend(self, now: float, size: int) -> None:
        """Count one message of `size` bytes."""
        self._messages.take(now)
        self._bytes.take(now, size)
