"""Run one coroutine for as long as a service runs."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure


class CoroutineService(Service):
    """Run `_run` from the start of the service, and cancel it at the stop.

    A subclass sets `_reactor`. If `_run` fails, `failed` is logged with the traceback.
    """

    log = Logger()
    failed = ""
    """Sentence for the log: what the program no longer does."""
    _reactor: Any
    _running: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self.note_failure)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        running, self._running = self._running, None
        if running is not None:
            self._reactor.callLater(0, running.cancel)  # it may be the code that runs just now
        return running

    async def _run(self) -> None:
        """Do the work of the service until it is cancelled."""
        raise NotImplementedError

    def note_failure(self, failure: Failure) -> None:
        """Log `failed`, unless the service was stopped."""
        if self.running:  # otherwise it was cancelled
            self.log.failure(self.failed, failure)
