"""Let the reactor handle signals in a turn of its own, whatever the program is doing when one comes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.error import ReactorNotRunning


def handle_signals_later(
    reactor: Any,
    again: Callable[[int, FrameType | None], object] | signal.Handlers = signal.SIG_DFL,
) -> None:
    """Have `reactor` handle SIGTERM and SIGINT in a turn of its own. Call this before it runs.

    Its handlers write to the log, and run between any two steps of the program. While the program is
    taking the lock of the log, a handler would wait for that lock for ever. Handlers of somebody else
    stay as they are.

    Once the program is ending, for whatever reason, another of these signals is handled by `again`,
    which is to end it at once.
    """
    ours: list[signal.Signals] = []
    came = False

    def take_over() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if getattr(handler, "__self__", None) is reactor:
                ours.append(number)
                signal.signal(number, partial(later, handler))

    def later(handler: Any, number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:  # `timeout` of the shell sends the same signal twice in a moment
            came = True
            reactor.callFromThread(handler, number, None)

    def let_go() -> None:
        for number in ours:
            signal.signal(number, again)

    reactor.callWhenRunning(take_over)
    reactor.addSystemEventTrigger("before", "shutdown", let_go)


def end(reactor: Any) -> None:
    """Stop `reactor`; a program that is ending already may be told so again."""
    with suppress(ReactorNotRunning):
        reactor.stop()
