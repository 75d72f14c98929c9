"""Handle SIGHUP: the terminal closes, or a program without a terminal is to read its files again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from chatproto.cli.signals import end


def has_terminal() -> bool:
    """Return True if this process has a controlling terminal, whose end sends SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class HangUp(Service):
    """End the program in good order on SIGHUP, unless it was started with SIGHUP ignored (`nohup`).

    A second SIGHUP ends it at once, as a second SIGTERM does.

    Args: reload: called on each SIGHUP instead of ending; None: the program ends.
    """

    log = Logger()

    def __init__(self, reactor: Any, reload: Callable[[], object] | None = None) -> None:
        self._reactor = reactor
        self._reload = reload
        self._ours = False

    def startService(self) -> None:
        super().startService()
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, self._came)
            self._ours = True

    def stopService(self) -> None:
        super().stopService()
        self._let_go()

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self._reload is not None:
            self._reactor.callFromThread(self._reload)
            return
        self._let_go()
        self._reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        self.log.info("Received SIGHUP, shutting down.")
        end(self._reactor)

    def _let_go(self) -> None:
        if self._ours:
            self._ours = False
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
