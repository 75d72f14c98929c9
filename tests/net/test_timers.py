"""Tests of timers by name."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.timers import Timers


class TimersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.rung: list[str] = []

    def after(self, name: str, seconds: float) -> None:
        self.timers.after(name, seconds, lambda: self.rung.append(f"{name} {seconds:g}"))

    def test_each_timer_fires_once(self) -> None:
        self.after("late", 2)
        self.after("soon", 1)
        self.clock.advance(1)
        self.assertEqual(self.rung, ["soon 1"])
        self.assertEqual(("soon" in self.timers, "late" in self.timers), (False, True))
        self.clock.advance(10)
        self.assertEqual(self.rung, ["soon 1", "late 2"])

    def test_one_of_the_same_name_takes_its_place(self) -> None:
        self.after("ping", 1)
        self.after("ping", 2)
        self.clock.advance(5)
        self.assertEqual(self.rung, ["ping 2"])

    def test_one_that_runs_begins_anew_and_one_that_does_not_is_not_begun(self) -> None:
        self.assertFalse(self.timers.again("ping", 1))
        self.after("ping", 1)
        self.clock.advance(0.5)
        self.assertTrue(self.timers.again("ping", 1))
        self.clock.advance(0.75)
        self.assertEqual(self.rung, [])
        self.clock.advance(0.25)
        self.assertEqual((self.rung, self.timers.again("ping", 1)), (["ping 1"], False))

    def test_cancelled_timer_never_fires(self) -> None:
        self.after("ping", 1)
        self.after("gone", 1)
        self.timers.cancel("ping", "linger")
        self.clock.advance(5)
        self.assertEqual(self.rung, ["gone 1"])

    def test_stopped_none_rings_and_nothing_is_left_in_the_clock(self) -> None:
        self.after("ping", 1)
        self.after("gone", 2)
        self.timers.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_firing_timer_can_be_set_again_or_all_stopped(self) -> None:
        self.timers.after("ping", 1, lambda: self.after("ping", 1))
        self.timers.after("end", 2, self.timers.stop)
        self.clock.advance(1)
        self.assertIn("ping", self.timers)
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_time_that_is_left_counts_down(self) -> None:
        self.after("ping", 3)
        self.clock.advance(1)
        self.assertEqual(self.timers.left("ping"), 2.0)
