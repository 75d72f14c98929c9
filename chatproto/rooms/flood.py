"""Limit how fast one client may send to rooms; excess is read later, not refused."""

from __future__ import annotations

from chatproto.wire.limits import Limits

_SLOWEST = 0.001  # for somebody who sets a rate to nothing
_LONGEST = 60.0


class Flood:
    """Two buckets of one speaker: messages and bytes. `now` is in seconds."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._messages = float(limits.say_burst)
        self._bytes = limits.say_bytes
        self._filled = now

    def wait(self, now: float) -> float:
        """Seconds until the next message may be read; 0 if it may now."""
        limits = self._limits
        passed = max(0.0, now - self._filled)
        self._filled = now
        self._messages = min(limits.say_burst, self._messages + passed * limits.say_rate)
        self._bytes = min(limits.say_bytes, self._bytes + passed * limits.say_bytes)
        # A little less than one whole message will do, or rounding would wait for nothing.
        wait = 0.0
        if self._messages < 0.999999:
            wait = (1 - self._messages) / max(limits.say_rate, _SLOWEST)
        if self._bytes < -0.000001:
            wait = max(wait, -self._bytes / max(limits.say_bytes, _SLOWEST))
        return min(wait, _LONGEST)

    def spend(self, size: int) -> None:
        """A message of `size` bytes was read."""
        self._messages -= 1
        self._bytes -= size
