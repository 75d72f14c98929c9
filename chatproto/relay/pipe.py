"""Bytes from one transport to another, no faster than may be, and never more than a little of them kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from chatproto.net.rate_limiter import RateLimiter

HELD = 64 * 1024
"""Bytes that one direction of a pipe keeps, at most."""
CHUNK = HELD // 2
"""Bytes that are read at once, and the most that wait before no more is read: both together are `HELD`."""


@implementer(IPushProducer)
class Flow:
    """One direction: what is read from `source` is written to `sink`.

    Reading rests while the sink has enough to send, and while a bucket is overdrawn. `carried` is how
    many bytes went through.
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
        """Pass `data` on."""
        self.carried += len(data)
        now = self._clock.seconds()
        wait = max(limiter.take(now, len(data)) for limiter in self._limiters)
        if wait and self._rest is None:
            self._rest = self._clock.callLater(wait, self._rested)
            self._source.pauseProducing()
        self._sink.write(data)

    def end(self) -> None:
        """End one direction; queued bytes are still sent by the sink."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._sink.unregisterProducer()

    def _rested(self) -> None:
        self._rest = None
        if not self._full:
            self._source.resumeProducing()

    def pauseProducing(self) -> None:
        """The sink has enough."""
        self._full = True
        self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """The sink has sent what it had."""
        self._full = False
        if self._rest is None:
            self._source.resumeProducing()

    def stopProducing(self) -> None:
        """The sink is gone; whoever owns it is told too."""
