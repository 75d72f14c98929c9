"""Work that waits for the disk, done in threads (Twisted)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
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


class Seat:
    """Mailbox in which one worker thread waits for its next job.

    `queue.Queue` is not used: a `get` with a timeout may hang after the timeout has passed.
    """

    __slots__ = ("_given", "_job")

    def __init__(self) -> None:
        self._job: Job | None = None
        self._given = Lock()
        self._given.acquire()

    def give(self, job: Job) -> None:
        """Let the thread go on with `job`."""
        self._job = job
        self._given.release()

    def take(self, seconds: float = -1) -> Job | None:
        """Return the job given within `seconds` (-1: no limit), or None."""
        if not self._given.acquire(timeout=seconds):
            return None
        job, self._job = self._job, None
        return job


class Threads:
    """Does jobs in the threads of `pool`; what they return comes back to the reactor.

    No job waits for another as long as the pool has threads.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool
        self._lock = Lock()
        self._free: list[Seat] = []
        self._jobs: deque[Job] = deque()  # for which no thread was free

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call `job` in a thread, then `done` with what it returned or raised."""
        with self._lock:
            seat = self._free.pop() if self._free else None
            if seat is None:
                self._jobs.append((job, done))
        if seat is not None:
            seat.give((job, done))
        else:
            self._pool.callInThread(self._stay)

    def _stay(self) -> None:
        """In a thread: do one job after the other, as long as they come."""
        seat = Seat()
        todo = self._next(seat) or self._wait(seat)
        while todo is not None:
            job, done = todo
            try:
                result = job()
            except BaseException:
                result = Failure()
            todo = self._next(seat)  # before the reactor knows, so that its next job finds us free
            self._reactor.callFromThread(_finish, done, result)
            del job, done, result  # it holds no file's bytes while it waits
            todo = todo or self._wait(seat)

    def _next(self, seat: Seat) -> Job | None:
        """Return the next waiting job; without one, mark `seat` as free."""
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._free.append(seat)
            return None

    def _wait(self, seat: Seat) -> Job | None:
        """Wait for a job in a free seat; None after a while without one."""
        job = seat.take(STAYS)
        if job is not None:
            return job
        with self._lock:
            if seat in self._free:
                self._free.remove(seat)
                return None
        return seat.take()  # it was given in the last moment


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
