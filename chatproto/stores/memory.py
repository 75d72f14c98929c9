"""What is kept, in memory: gone when the process ends, and bounded while it lives."""

from __future__ import annotations

from chatproto.wire.limits import DEFAULTS, Limits


class MemoryRegistry:
    """Who is where, in memory."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.limits = limits
