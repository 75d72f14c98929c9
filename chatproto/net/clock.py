"""The two times of a program: `Monotonic` for timers, waits and ages, `Wall` for dates.

`Monotonic` is what the reactor's `seconds()` returns. It begins at the time of day and then counts
every second, whatever happens to the system's clock. Everything in memory that ends (a timeout, a
lease, a ban, a rate limit) is a `Monotonic`, and so are the ends in a store, which `rebase` translates
into the next program's time (chatproto/net/rebase.py).

`Wall` is the time of day as the system's clock has it now. It may jump. It is shown, written into
messages as `Date` and `Until`, and compared with what other programs say, and never waited for.

mypy refuses the one where the other is wanted: `Monotonic` is a float, so that seconds can be added
and subtracted, and `Wall` is not, except at run time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, overload

Monotonic: TypeAlias = float
"""Seconds on the clock of the reactor, which never jumps."""

JUMP = 0.5
"""Seconds by which the system's clock has to differ before it counts as set, not as read imprecisely."""

if TYPE_CHECKING:

    class Wall:
        """Seconds since 1970, as the system's clock has them."""

        def __init__(self, seconds: float) -> None: ...
        def __add__(self, seconds: float) -> Wall: ...
        @overload
        def __sub__(self, other: Wall) -> float: ...
        @overload
        def __sub__(self, other: float) -> Wall: ...
        def __sub__(self, other: Wall | float) -> Wall | float: ...
        def __lt__(self, other: Wall) -> bool: ...
        def __le__(self, other: Wall) -> bool: ...
        def __gt__(self, other: Wall) -> bool: ...
        def __ge__(self, other: Wall) -> bool: ...
        def __hash__(self) -> int: ...
        def __float__(self) -> float: ...
else:
    Wall = float

EPOCH = Wall(0)
"""The beginning of 1970."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
"""The clock that also counts the time for which the machine sleeps, where the system has one."""


def elapsed() -> float:
    """Return the seconds since some moment in the past, the machine's sleep included."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def wall() -> Wall:
    """Return the time of day."""
    return Wall(time.time())


def counted() -> Callable[[], Monotonic]:
    """Return a clock that begins at the time of day and that nobody can set."""
    began = time.time() - elapsed()
    clock = _CLOCK
    if clock is None:
        return lambda: began + time.monotonic()
    read = time.clock_gettime
    return lambda: began + read(clock)  # asked ten times for each message


def use_monotonic_time(reactor: Any) -> None:
    """Make the clock of `reactor` a `Monotonic` one: call this before anything is scheduled.

    Every reactor of Twisted (epoll, poll, select, asyncio) reads its time by `self.seconds()`, and by
    default that is the system's clock: set back by ten minutes, no timer fires for ten minutes.
    Calls that are scheduled already keep the time that is left of them. Doing this twice is harmless.
    """
    if getattr(reactor.seconds, "is_monotonic", False):
        return
    seconds: Any = counted()
    seconds.is_monotonic = True
    reactor.seconds = seconds  # DelayedCall and LoopingCall take it from here
    for call in reactor.getDelayedCalls():
        call.seconds = seconds


AT_END = "call_at_end_of_turn"
"""Method of a reactor that takes `net.fast_tcp.Turns`."""


def at_end_of_turn(clock: Any) -> Callable[[Callable[[], object]], object]:
    """Return a function that calls what it is given once, at the end of this turn of the reactor `clock`."""
    with_timer: Callable[[Callable[[], object]], object] = partial(clock.callLater, 0)
    return getattr(clock, AT_END, with_timer)


class Times:
    """Translates between the two times of one program.

    The difference between the two changes only if the system's clock is set, so that one moment has
    one date as long as nobody does that.
    """

    def __init__(
        self, monotonic: Callable[[], Monotonic], now: Callable[[], Wall] | None = None
    ) -> None:
        self.monotonic = monotonic
        self._wall = now
        self._ahead = 0.0

    def wall(self) -> Wall:
        """Return the time of day."""
        return self.date(self.monotonic())

    def date(self, moment: Monotonic) -> Wall:
        """Return the time of day at `moment`, by the system's clock as it is set now."""
        return Wall(moment + self._difference())

    def moment(self, date: Wall) -> Monotonic:
        """Return when the system's clock, as it is set now, shows `date`."""
        return float(date) - self._difference()

    def _difference(self) -> float:
        if self._wall is None:
            return 0.0
        ahead = float(self._wall()) - self.monotonic()
        if abs(ahead - self._ahead) > JUMP:
            self._ahead = ahead
        return self._ahead
