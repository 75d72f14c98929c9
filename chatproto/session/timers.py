"""Timers by name; each name runs at most once."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timers:
    """Run the timers of one owner; `name in timers` tells if one is running."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._calls

    def seconds(self) -> float:
        """Return the time of the clock that the timers run by."""
        return self._clock.seconds()

    def after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Call `what` in `seconds`; a running timer of that name starts again."""
        self.cancel(name)

        def ring() -> None:
            del self._calls[name]
            what()

        self._calls[name] = self._clock.callLater(seconds, ring)

    def again(self, name: str, seconds: float) -> bool:
        """Restart the timer `name` for `seconds`. Returns False if it does not run. Cheaper than `after`."""
        call = self._calls.get(name)
        if call is not None:
            call.reset(seconds)
        return call is not None

    def cancel(self, *names: str) -> None:
        """Stop the timers with these names, if they run."""
        for name in names:
            call = self._calls.pop(name, None)
            if call is not None:
                call.cancel()

    def stop(self) -> None:
        """Stop every timer."""
        self.cancel(*self._calls)
