"""Define the two times of a program: `Monotonic` for timers, timeouts and ages, `Wall` for dates.

`Monotonic` is the result of the reactor's `seconds()`. It starts as the time of day and then counts
every second, even if the system's clock is set. Everything in memory that expires (a timeout, a lease,
a ban, a rate limit) is a `Monotonic`, and so are the expiry times in a store, which `rebase` translates
into the next program's time (chatproto/net/rebase.py).

`Wall` is the time of day by the system's clock. It may jump. It is shown, written into messages as
`Date` and `Until`, and compared with dates from other programs; no timer depends on it.

mypy refuses the one where the other is expected: `Monotonic` is a float, so that seconds can be added
and subtracted, and `Wall` is not, except at run time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, overload

Monotonic: TypeAlias = float
"""Seconds on the reactor's clock, which never jumps."""

JUMP = 0.5
"""Difference in seconds from which the system's clock counts as set, not as read imprecisely."""

if TYPE_CHECKING:

    class Wall:
        """Seconds since 1970 by the system's clock."""

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
"""Start of 1970."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
"""Clock that also counts while the machine sleeps, if the system has one."""


def elapsed() -> float:
    """Return the seconds since some moment in the past, including the time that the machine slept."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def wall() -> Wall:
    """Return the time of day."""
    return Wall(time.time())


def counted() -> Callable[[], Monotonic]:
    """Return a clock that starts as the time of day and cannot be set."""
    began = time.time() - elapsed()
    clock = _CLOCK
    if clock is None:
        return lambda: began + time.monotonic()
    read = time.clock_gettime
    return lambda: began + read(clock)  # called ten times for each message


def use_monotonic_time(reactor: Any) -> None:
    """Make the clock of `reactor` a `Monotonic` one: call this before anything is scheduled.

    All reactors of Twisted (epoll, poll, select, asyncio) read their time with `self.seconds()`, which
    by default is the system's clock: if that is set back by ten minutes, no timer fires for ten
    minutes. Calls that are scheduled already keep their remaining time. A second call of this function
    changes nothing.
    """
    if getattr(reactor.seconds, "is_monotonic", False):
        return
    seconds: Any = counted()
    seconds.is_monotonic = True
    reactor.seconds = seconds  # DelayedCall and LoopingCall read it here
    for call in reactor.getDelayedCalls():
        call.seconds = seconds


AT_END = "call_at_end_of_turn"
"""Name of the reactor's method that `net.fast_tcp.Turns` adds."""


def at_end_of_turn(clock: Any) -> Callable[[Callable[[], object]], object]:
    """Return a function that calls its argument once, at the end of this turn of the reactor `clock`."""
    with_timer: Callable[[Callable[[], object]], object] = partial(clock.callLater, 0)
    return getattr(clock, AT_END, with_timer)


class Times:
    """Translate between the two times of one program.

    The difference between the two changes only if the system's clock is set, so that one moment has the
    same date until then.
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
        """Return the date of `moment`, by the system's clock as it is set now."""
        return Wall(moment + self._difference())

    def moment(self, date: Wall) -> Monotonic:
        """Return the moment at which the system's clock, as it is set now, shows `date`."""
        return float(date) - self._difference()

    def _difference(self) -> float:
        if self._wall is None:
            return 0.0
        ahead = float(self._wall()) - self.monotonic()
        if abs(ahead - self._ahead) > JUMP:
            self._ahead = ahead
        return self._ahead
