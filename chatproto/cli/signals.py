"""Let the reactor handle signals in a turn of its own, whatever the program is doing when one comes."""

from __future__ import annotations

import signal
from functools import partial
from types import FrameType
from typing import Any


def handle_signals_later(reactor: Any) -> None:
    """Have `reactor` handle SIGTERM and SIGINT in a turn of its own. Call this before it runs.

    Its handlers write to the log, and run between any two steps of the program. While the program is
    taking the lock of the log, a handler would wait for that lock for ever. Handlers of somebody else
    stay as they are.
    """

    def take_over() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if getattr(handler, "__self__", None) is reactor:
                signal.signal(number, partial(later, handler))

    def later(handler: Any, number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(handler, number, None)

    reactor.callWhenRunning(take_over)
