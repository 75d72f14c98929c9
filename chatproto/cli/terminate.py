"""SIGTERM: ends a program in good order, whatever the program is doing when it comes."""

from __future__ import annotations

import signal
from typing import Any


def handle_sigterm_later(reactor: Any) -> None:
    """Have `reactor` handle SIGTERM in a turn of its own. Call this before it runs.

    Its own handler writes to the log, and runs between any two steps of the program. While the program
    is taking the lock of the log, the handler would wait for that lock for ever.
    """

    def take_over() -> None:
        handler = signal.getsignal(signal.SIGTERM)
        if callable(handler):
            signal.signal(
                signal.SIGTERM, lambda number, frame: reactor.callFromThread(handler, number, None)
            )

    reactor.callWhenRunning(take_over)
