"""Timers by name, of which each runs once at most: what a link or a conversation waits for."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timers:
    """All that one owner waits for; `name in timers` is whether it still does."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._calls

    def seconds(self) -> float:
        """Return the time of the clock that the timers run by."""
        return self._clock.seconds()

    def after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Do `what` in `seconds`; one of that name that runs already begins anew."""
        self.cancel(name)

        def ring() -> None:
            del self._calls[name]
            what()

        self._calls[name] = self._clock.callLater(seconds, ring)

    def again(self, name: str, seconds: float) -> bool:
        """Let the one of that name run `seconds` from now; False if there is none. It costs least."""
        call = self._calls.get(name)
        if call is not None:
            call.reset(seconds)
        return call is not None

    def cancel(self, *names: str) -> None:
        """Wait for those no longer, if we do."""
        for name in names:
            call = self._calls.pop(name, None)
            if call is not None:
                call.cancel()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self.cancel(*self._calls)
