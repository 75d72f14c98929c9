"""Tests of `chatproto.net.clock`: timers and waits do not follow the system's clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import JUMP, Times, Wall

ONE_REACTOR = """
import time
{install}
from twisted.internet import reactor
from chatproto.net.clock import use_monotonic_time

order = []
reactor.callLater(0.05, order.append, "scheduled before")
use_monotonic_time(reactor)
before = reactor.seconds
use_monotonic_time(reactor)
assert reactor.seconds is before, "set twice"
assert abs(reactor.seconds() - time.time()) < 60, "begins at the time of day"
real = time.time
time.time = lambda: real() - 600  # the system's clock is set back
from twisted.python import runtime
runtime.seconds = time.time
late = reactor.callLater(0.1, order.append, "scheduled after")
late.reset(0.15)
from twisted.internet.task import LoopingCall
loop = LoopingCall(order.append, "looped")
loop.start(0.1, now=False)
reactor.callLater(0.3, reactor.stop)
reactor.run()
assert "scheduled before" in order and "scheduled after" in order and "looped" in order, order
print("done")
"""


class ReactorTests(SynchronousTestCase):
    """Each in a process of its own, for a process has one reactor; they take a third of a second."""

    def run_with(self, install: str) -> None:
        program = ONE_REACTOR.format(install=install)
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.stdout, "done\n", done.stderr)

    def test_timers_of_the_default_reactor_do_not_follow_the_systems_clock(self) -> None:
        self.run_with("")

    def test_timers_of_the_select_reactor_do_not_follow_the_systems_clock(self) -> None:
        self.run_with("from twisted.internet import selectreactor; selectreactor.install()")

    def test_timers_of_the_asyncio_reactor_do_not_follow_the_systems_clock(self) -> None:
        self.run_with("from twisted.internet import asyncioreactor; asyncioreactor.install()")


class TimesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.set_by = 0.0
        self.times = Times(self.clock.seconds, lambda: Wall(self.clock.seconds() + self.set_by))

    def test_one_moment_has_one_date_until_the_clock_is_set(self) -> None:
        dates = set()
        for read in (0.0, 0.2, -0.3, 0.1):  # imprecisely
            self.set_by = read
            dates.add(float(self.times.date(1234.5)))
        self.assertEqual(dates, {1234.5})
        self.set_by = 3600.0
        self.assertEqual(float(self.times.date(1234.5)), 4834.5)

    @given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
    def test_a_date_is_a_moment_and_a_moment_is_a_date(self, set_by: float, at: float) -> None:
        self.set_by = set_by
        self.assertAlmostEqual(self.times.moment(self.times.date(at)), at, 5)
        now = float(self.times.wall()) - self.clock.seconds()
        self.assertLessEqual(abs(now - set_by), JUMP + 1e-6)

    def test_timers_ignore_a_changed_clock(self) -> None:
        end = self.times.moment(self.times.wall() + 60)
        self.set_by = -600.0
        self.clock.advance(59)
        self.assertGreater(end, self.clock.seconds())
        self.clock.advance(1)
        self.assertLessEqual(end, self.clock.seconds())
