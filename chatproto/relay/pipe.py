"""Copy bytes from one transport to another, with rate limits and bounded buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from chatproto.net.rate_limiter import RateLimiter

HELD = 64 * 1024
"""Maximum bytes that one direction of a pipe buffers."""
CHUNK = HELD // 2
"""Bytes per read, and queued bytes at which reading pauses; the sum of both is `HELD`."""


@implementer(IPushProducer)
class Flow:
    """One direction of a pipe: data read from `source` are written to `sink`.

    Reading pauses while the buffer of `sink` is full, and while a rate limit is exceeded. `carried`:
    bytes passed on so far.
    """

    def __init__(
        self, source: Any, sink: Any, clock: IReactorTime, limiters: Sequence[RateLimiter]
    ) -> None:
        self.carried = 0
        self._source = source
        self._sink = sink
        self._clock = clock
        self._limiters = limiters
        self._full = False
        self._rest: IDelayedCall | None = None
        source.bufferSize = sink.bufferSize = CHUNK
        sink.registerProducer(self, True)

    def carry(self, data: bytes) -> None:
        """Write `data` to the sink; pause reading if a rate limit is exceeded."""
        self.carried += len(data)
        now = self._clock.seconds()
        wait = max(limiter.take(now, len(data)) for limiter in self._limiters)
        if wait and self._rest is None:
            self._rest = self._clock.callLater(wait, self._rested)
            self._source.pauseProducing()
        self._sink.write(data)

    def end(self) -> None:
        """End this direction; the sink still sends its queued bytes."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._sink.unregisterProducer()

    def _rested(self) -> None:
        self._rest = None
        if not self._full:
            self._source.resumeProducing()

    def pauseProducing(self) -> None:
        """Pause reading: the sink's buffer is full."""
        self._full = True
        self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """Resume reading: the sink has sent its queued bytes."""
        self._full = False
        if self._rest is None:
            self._source.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: the sink is closed, and its owner is notified as well."""
