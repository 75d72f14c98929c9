"""Detect a peer that has gone silent."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.net.timers import Timers
from chatproto.wire.reasons import SILENCE


class Keepalive:
    """Call `ask` after `seconds` of silence, and `gone` with a reason after as many again.

    `ping` and `gone` are the names of its `timers`.
    """

    def __init__(
        self,
        timers: Timers,
        seconds: float,
        ask: Callable[[], None],
        gone: Callable[[str], None],
    ) -> None:
        self._timers = timers
        self._seconds = seconds
        self._ask = ask
        self._gone = gone

    def heard(self) -> None:
        """Begin the silence anew: something has arrived."""
        self._timers.cancel("gone")
        if not self._timers.again("ping", self._seconds):
            self._timers.after("ping", self._seconds, self._ping)

    def stop(self) -> None:
        """Ignore the peer's silence until `heard` is called."""
        self._timers.cancel("ping", "gone")

    def _ping(self) -> None:
        self._ask()
        self._timers.after("gone", self._seconds, self._give_up)

    def _give_up(self) -> None:
        self._gone(SILENCE(seconds=2 * self._seconds))
