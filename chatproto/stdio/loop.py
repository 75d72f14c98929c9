"""Use an asyncio loop where a terminal wants a reactor, before there is one.

Twisted's reactor takes a third of a second to load. A prompt does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class LoopReactor:
    """Timers and writers of an asyncio loop, under the names that Twisted gives them.

    It stays valid when a reactor is installed upon the same loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def seconds(self) -> float:
        """Return the time of the loop, which nobody sets."""
        return self._loop.time()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object
    ) -> asyncio.TimerHandle:
        """Call `callable(*args)` in `delay` seconds, unless the result is cancelled before."""
        return self._loop.call_later(delay, callable, *args)

    def addWriter(self, writer: Any) -> None:
        """Call `writer.doWrite` whenever its descriptor takes bytes."""
        self._loop.add_writer(writer.fileno(), writer.doWrite)

    def removeWriter(self, writer: Any) -> None:
        """Call `writer.doWrite` no more. Its descriptor is still open."""
        self._loop.remove_writer(writer.fileno())
