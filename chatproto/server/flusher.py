"""The store's time: once a second it may write what need not be written at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

INTERVAL = 1.0


class Flusher(Service):
    """Calls `write_behind` while it runs; an error is logged, and the next call comes all the same."""

    log = Logger()

    def __init__(self, reactor: Any, write_behind: Callable[[], object]) -> None:
        self._write_behind = write_behind
        self._loop = LoopingCall(self._write)
        self._loop.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._loop.start(INTERVAL, now=False)

    def stopService(self) -> None:
        super().stopService()
        self._loop.stop()

    def _write(self) -> None:
        try:
            self._write_behind()
        except Exception:
            self.log.failure("the store could not be written")
