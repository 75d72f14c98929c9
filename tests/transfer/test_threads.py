"""The threads in which the disk is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from chatproto.transfer import threads
from chatproto.transfer.sinks import SinkTrouble
from chatproto.transfer.threads import Threads

reactor: Any = global_reactor
ENOUGH = 20.0
"""Seconds after which what a thread waits for has failed."""


class ThreadsTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.pool = ThreadPool(0, 2)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.threads = Threads(reactor, self.pool)

    def do(self, job: Callable[[], Any]) -> Deferred[Any]:
        """Run `job` in a thread; return its result."""
        came: Deferred[Any] = Deferred()
        self.threads.do(job, lambda result: reactor.callLater(0, came.callback, [result]))
        return came.addCallback(lambda results: results[0])

    async def test_work_runs_in_a_thread_and_reports_to_the_reactor(self) -> None:
        here, told = threading.get_ident(), list[int]()
        done: Deferred[None] = Deferred()

        def tell(result: Any) -> None:
            told.extend((result, threading.get_ident()))
            done.callback(None)

        self.threads.do(threading.get_ident, tell)
        self.assertEqual(told, [])
        await done
        self.assertNotEqual(told[0], here)
        self.assertEqual(told[1], here)

    async def test_exceptions_of_jobs_are_returned_and_bugs_are_logged(self) -> None:
        def fail(error: BaseException) -> Callable[[], None]:
            def job() -> None:
                raise error

            return job

        self.assertEqual(str(await self.do(fail(SinkTrouble("no")))), "no")
        self.assertIsInstance(await self.do(fail(FileNotFoundError())), FileNotFoundError)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertIsInstance(await self.do(fail(KeyError("x"))), KeyError)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_failing_callback_is_logged_and_the_next_job_runs(self) -> None:
        def wrong(result: object) -> None:
            raise ValueError(result)

        self.threads.do(lambda: 1, wrong)
        self.assertEqual(await self.do(lambda: 2), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_sequential_jobs_use_one_thread(self) -> None:
        idents = {await self.do(threading.get_ident) for _ in range(50)}
        self.assertLessEqual(len(idents), 2)

    async def test_jobs_run_in_parallel_up_to_the_limit(self) -> None:
        for _ in range(20):
            meeting = threading.Barrier(2)
            both = [self.do(lambda meeting=meeting: meeting.wait(ENOUGH)) for _ in range(2)]  # type: ignore[misc]
            found = await DeferredList(both)
            self.assertEqual(sorted(result for _, result in found), [0, 1])

    async def test_with_more_jobs_than_threads_all_are_done_in_their_order(self) -> None:
        order: list[int] = []
        gate = threading.Event()
        first = [self.do(lambda: gate.wait(ENOUGH)) for _ in range(2)]
        rest = [self.do(lambda number=number: order.append(number)) for number in range(30)]  # type: ignore[misc]
        self.assertEqual(order, [])
        gate.set()
        await DeferredList([*first, *rest])
        self.assertEqual(sorted(order), list(range(30)))

    async def test_idle_thread_ends_and_a_new_one_starts(self) -> None:
        await self.do(lambda: None)
        while self.pool.working:
            await self.pause()
        self.assertEqual(await self.do(lambda: 5), 5)

    async def test_a_job_that_is_given_in_the_last_moment_is_done_and_all_threads_go_back(
        self,
    ) -> None:
        for stays in (0.0, 1e-6, 1e-4):
            self.patch(threads, "STAYS", stays)
            for number in range(300):
                both = [self.do(lambda number=number: number) for _ in range(2)]  # type: ignore[misc]
                found = await DeferredList(both)
                self.assertEqual(found, [(True, number)] * 2)
        while self.pool.working:
            await self.pause()

    def pause(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        reactor.callLater(0.01, done.callback, None)
        return done
