"""Use an asyncio loop in place of a reactor before Twisted is loaded.

Twisted's reactor takes a third of a second to load; the prompt is shown before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class LoopReactor:
    """Timers and writers of an asyncio loop with the method names of a Twisted reactor.

    It remains usable after a reactor is installed on the same loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def seconds(self) -> float:
        """Return the monotonic time of the loop in seconds."""
        return self._loop.time()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object
    ) -> asyncio.TimerHandle:
        """Call `callable(*args)` in `delay` seconds, unless the returned handle is cancelled before."""
        return self._loop.call_later(delay, callable, *args)

    def addWriter(self, writer: Any) -> None:
        """Call `writer.doWrite` whenever its descriptor is writable."""
        self._loop.add_writer(writer.fileno(), writer.doWrite)

    def removeWriter(self, writer: Any) -> None:
        """Stop calling `writer.doWrite`; its descriptor must still be open."""
        self._loop.remove_writer(writer.fileno())
