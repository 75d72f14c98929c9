"""Signals of a program whose prompt stands before its reactor runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service


class EarlySignals(Service):
    """End the process by SIGINT, SIGTERM or SIGHUP as usual, but give the terminal back before.

    The start of the service leaves the signals to the program, whose own services are started after this
    one; the reactor replaces the handler of SIGTERM. A signal that the process was started with
    ignored stays so.

    Args: restore: gives the terminal back.
    """

    def __init__(self, restore: Callable[[], object]) -> None:
        self._restore = restore
        self._usual: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            usual = signal.getsignal(number)
            if usual in (signal.SIG_DFL, signal.default_int_handler):
                self._usual[number] = usual
                signal.signal(number, self._came)

    def startService(self) -> None:
        super().startService()
        for number, usual in self._usual.items():
            if number != signal.SIGTERM:
                signal.signal(number, usual)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def keep_wakeups(reactor: Any) -> None:
    """Have asyncio hear of signals once `reactor` runs, such as of a window that changes its size.

    The reactor would take the descriptor for itself, to hear of the end of child processes. The
    programs start none by it.
    """
    wakes = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakes)
    reactor.callWhenRunning(signal.set_wakeup_fd, wakes)
