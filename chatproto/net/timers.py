"""Timers of a connection or a conversation: named ones, and those that detect a silent peer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.wire.reasons import SILENCE


class Timers:
    """Timers of one owner, each running at most once; `name in timers` is true while that timer runs."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.seconds = clock.seconds
        """The clock that the timers run by."""
        self._calls: dict[str, IDelayedCall] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._calls

    def after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Call `what` in `seconds`; a timer of the same name is replaced."""
        self.cancel(name)

        def ring() -> None:
            del self._calls[name]
            what()

        self._calls[name] = self._clock.callLater(seconds, ring)

    def again(self, name: str, seconds: float) -> bool:
        """Restart the timer `name` with `seconds` from now, cheaply; return False if it does not run."""
        call = self._calls.get(name)
        if call is not None:
            call.reset(seconds)
        return call is not None

    def left(self, name: str) -> float:
        """Return the seconds until the timer `name`, which must run, is due."""
        return self._calls[name].getTime() - self._clock.seconds()

    def cancel(self, *names: str) -> None:
        """Cancel those of `names` that run."""
        for name in names:
            call = self._calls.pop(name, None)
            if call is not None:
                call.cancel()

    def stop(self) -> None:
        """Cancel all timers."""
        self.cancel(*self._calls)


ROUNDING = 1e-6
"""Seconds by which a silence may be too short, so that rounding errors need no further timer."""


class Keepalive:
    """Call `ask` after `seconds` of silence, and `gone` with a reason after as many again.

    Received data move no timer: when one fires it calls `heard_at`, which returns the time of the clock
    at which data were received last. `ping` and `gone` are the names of its `timers`.
    """

    def __init__(
        self,
        timers: Timers,
        seconds: float,
        heard_at: Callable[[], float],
        ask: Callable[[], None],
        gone: Callable[[str], None],
    ) -> None:
        self._timers = timers
        self._seconds = seconds
        self._heard_at = heard_at
        self._ask = ask
        self._gone = gone
        self._asked_at = 0.0

    def start(self) -> None:
        """Start a silence now."""
        self._timers.cancel("gone")
        self._timers.after("ping", self._seconds, self._ping)

    def stop(self) -> None:
        """Ignore the peer's silence until `start` is called."""
        self._timers.cancel("ping", "gone")

    def _ping(self) -> None:
        now = self._timers.seconds()
        left = self._heard_at() + self._seconds - now
        if left > ROUNDING:
            self._timers.after("ping", left, self._ping)
        else:
            self._asked_at = now
            self._ask()
            self._timers.after("gone", self._seconds, self._give_up)

    def _give_up(self) -> None:
        if self._heard_at() >= self._asked_at:
            self._ping()
        else:
            self._gone(SILENCE(seconds=2 * self._seconds))
