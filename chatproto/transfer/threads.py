"""Run blocking disk jobs in the threads of a Twisted thread pool."""

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
"""Seconds that an idle thread waits for a job before it returns to its pool, which costs twice as much."""
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
        """Give `job` to the waiting thread."""
        self._job = job
        self._given.release()

    def take(self, seconds: float = -1) -> Job | None:
        """Return the job given within `seconds` (-1: no limit), or None."""
        if not self._given.acquire(timeout=seconds):
            return None
        job, self._job = self._job, None
        return job


class Threads:
    """Runner of jobs in the threads of `pool`; results are delivered in the reactor.

    Jobs run in parallel as long as the pool has free threads.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool
        self._lock = Lock()
        self._free: list[Seat] = []
        self._jobs: deque[Job] = deque()  # jobs without a free thread

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call `job` in a thread, then `done` in the reactor with its result or exception."""
        with self._lock:
            seat = self._free.pop() if self._free else None
            if seat is None:
                self._jobs.append((job, done))
        if seat is not None:
            seat.give((job, done))
        else:
            self._pool.callInThread(self._stay)

    def _stay(self) -> None:
        """Run one job after the other in a pool thread, until none comes for `STAYS` seconds."""
        seat = Seat()
        todo = self._next(seat) or self._wait(seat)
        while todo is not None:
            job, done = todo
            try:
                result = job()
            except BaseException:
                result = Failure()
            todo = self._next(
                seat
            )  # before `done` is called, so that its next job finds this thread free
            self._reactor.callFromThread(_finish, done, result)
            del job, done, result  # an idle thread holds no data of files
            todo = todo or self._wait(seat)

    def _next(self, seat: Seat) -> Job | None:
        """Return the next queued job; without one, mark `seat` as free."""
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._free.append(seat)
            return None

    def _wait(self, seat: Seat) -> Job | None:
        """Wait for a job in a free seat; return None after `STAYS` seconds without one."""
        job = seat.take(STAYS)
        if job is not None:
            return job
        with self._lock:
            if seat in self._free:
                self._free.remove(seat)
                return None
        return seat.take()  # a job was given just after the timeout


def _finish(done: Callable[[Any], None], result: Any) -> None:
    """Call `done` in the reactor. Log its exceptions, and those of jobs that are no disk errors, as bugs."""
    if isinstance(result, Failure):
        if not result.check(SinkTrouble, SourceTrouble, SourceChanged, OSError):
            log.failure("a job for a transfer", result)
        result = result.value
    try:
        done(result)
    except Exception:
        log.failure("after a job for a transfer")
