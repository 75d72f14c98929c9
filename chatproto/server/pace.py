"""Rate limit of one connection's room messages: what comes too early waits."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.rooms.speaker_limiter import SpeakerLimiter
from chatproto.wire import bcp2_rooms
from chatproto.wire.limits import ServerLimits


class Pace:
    """Rate limit of one connection: an early message waits, with everything behind it.

    `go_on` is called when reading may continue.
    """

    def __init__(
        self, clock: IReactorTime, limits: ServerLimits, go_on: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._go_on = go_on
        self._limiter: SpeakerLimiter | None = None
        self._timer: IDelayedCall | None = None
        self.waiting = False
        """True while nothing may be read."""

    def lets(self, message: object, now: float) -> bool:
        """Return True if `message` may be answered now, and count it; otherwise `waiting` becomes true."""
        if not isinstance(message, bcp2_rooms.Say):
            return True
        if self._limiter is None:
            self._limiter = SpeakerLimiter(self._limits)
        wait = self._limiter.wait(now)
        if wait > 0:
            self._timer = self._clock.callLater(wait, self._waited)
            self.waiting = True
            return False
        self._limiter.spend(now, len(message.text.encode()))
        return True

    def stop(self) -> None:
        """The connection has ended."""
        timer, self._timer = self._timer, None
        self.waiting = False
        if timer is not None:
            timer.cancel()

    def _waited(self) -> None:
        self._timer = None
        self.waiting = False
        self._go_on()
