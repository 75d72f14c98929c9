"""Work that waits for the disk, done in threads (Twisted)."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from chatproto.transfer.sinks import SinkTrouble
from chatproto.transfer.sources import SourceChanged, SourceTrouble

log = Logger()

STAYS = 0.05
"""Seconds that a thread waits for the next job before it goes back to its pool: that costs twice as much."""
Job = tuple[Callable[[], Any], Callable[[Any], None]]


class Threads:
    """Does jobs in the threads of `pool`; what they return comes back to the reactor.

    No job waits for another as long as the pool has threads.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._lock = Lock()
        self._threads = 0  # that were asked for and have not gone back
        self._undone = 0  # jobs

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call `job` in a thread, then `done` with what it returned or raised."""
        with self._lock:
            self._jobs.put((job, done))
            self._undone += 1
            enough = self._undone <= self._threads
            self._threads += not enough
        if not enough:
            self._pool.callInThread(self._stay)

    def _stay(self) -> None:
        """In a thread: do one job after the other, as long as they come."""
        while (todo := self._next()) is not None:
            job, done = todo
            try:
                result = job()
            except BaseException:
                result = Failure()
            with self._lock:
                self._undone -= 1
            self._reactor.callFromThread(_finish, done, result)
            del todo, job, done, result  # it holds no file's bytes while it waits

    def _next(self) -> Job | None:
        """The next job; None if there is none for a while."""
        try:
            return self._jobs.get(timeout=STAYS)
        except Empty:
            with self._lock:
                if self._jobs.empty():
                    self._threads -= 1
                    return None
        return self._next()


def _finish(done: Callable[[Any], None], result: Any) -> None:
    """In the reactor. What is no trouble of the disk's is our own mistake, and so is what goes wrong here."""
    if isinstance(result, Failure):
        if not result.check(SinkTrouble, SourceTrouble, SourceChanged, OSError):
            log.failure("a job for a transfer", result)
        result = result.value
    try:
        done(result)
    except Exception:
        log.failure("after a job for a transfer")
