"""Handle SIGHUP, when the terminal closes, like SIGTERM."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger


class HangUp(Service):
    """End the program in good order on SIGHUP, unless it was started with SIGHUP ignored (`nohup`).

    A second SIGHUP ends it at once, as a second SIGTERM does.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ours = False

    def startService(self) -> None:
        super().startService()
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, self._ends)
            self._ours = True

    def stopService(self) -> None:
        super().stopService()
        self._let_go()

    def _ends(self, number: int, frame: FrameType | None) -> None:
        self._let_go()
        self._reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        self.log.info("Received SIGHUP, shutting down.")
        self._reactor.stop()

    def _let_go(self) -> None:
        if self._ours:
            self._ours = False
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
