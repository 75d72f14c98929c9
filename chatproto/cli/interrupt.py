"""Ctrl-C: the first one ends a program in good order, with exit code 0; the second one at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from chatproto.cli.exit_codes import INTERRUPTED


class Interrupt(Service):
    """SIGINT calls `first`, and a second one ends the program without waiting for anything.

    So does the first one while the program is ending for another reason.

    Whoever started the program with SIGINT ignored, as a shell does in the background, is obeyed.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, first: Callable[[], object], second: Callable[[int], object] = os._exit
    ) -> None:
        self._reactor = reactor
        self._first = first
        self._second = second
        self._came = False

    def startService(self) -> None:
        super().startService()
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
            # Before the reactor's own, which it leaves out then.
            signal.signal(signal.SIGINT, self._interrupted)

    def stopService(self) -> None:
        super().stopService()
        self._came = True

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            self._second(INTERRUPTED)
            return
        self._came = True
        self._reactor.callFromThread(self._end)

    def _end(self) -> None:
        self.log.info("Received SIGINT, shutting down.")
        self._first()
