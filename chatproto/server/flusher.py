"""Let the store write data that is not urgent, every few seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

INTERVAL = 1.0
"""Seconds between two calls while there is more to write."""
REST = 10.0
"""Seconds before the next call when everything is written.

A client that sends five requests a second is written once in this time. With a connection for each request,
writing it every second took a fifth of the server's CPU.
"""


class Flusher(Service):
    """Calls `write_behind`, which returns True if there is more, while it runs.

    An error is logged, and the next call is made nevertheless.
    """

    log = Logger()

    def __init__(self, reactor: Any, write_behind: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._write_behind = write_behind
        self._timer: Any = None

    def startService(self) -> None:
        super().startService()
        self._timer = self._reactor.callLater(REST, self._write)

    def stopService(self) -> None:
        super().stopService()
        self._timer.cancel()

    def _write(self) -> None:
        more = True
        try:
            more = self._write_behind()
        except Exception:
            self.log.failure("the store could not be written")
        self._timer = self._reactor.callLater(INTERVAL if more else REST, self._write)
