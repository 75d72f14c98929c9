"""Work that waits for the disk, done in threads (Twisted)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from chatproto.transfer.sinks import SinkTrouble
from chatproto.transfer.sources import SourceChanged, SourceTrouble

log = Logger()


class Threads:
    """Does jobs in the threads of `pool`; what they return comes back to the reactor."""

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call `job` in a thread, then `done` with what it returned or raised."""

        def failed(failure: Failure) -> BaseException | None:
            if not failure.check(SinkTrouble, SourceTrouble, SourceChanged, OSError):
                log.failure("a job for a transfer", failure)
            return failure.value

        def trouble(failure: Failure) -> None:
            log.failure("after a job for a transfer", failure)

        deferred = deferToThreadPool(self._reactor, self._pool, job)
        deferred.addErrback(failed).addCallback(done).addErrback(trouble)
