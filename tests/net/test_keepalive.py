"""Tests of the silence that is asked about."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.timers import Keepalive, Timers


class KeepaliveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[str] = []
        self.alive = Keepalive(
            Timers(self.clock), 30, lambda: self.told.append("ask"), self.told.append
        )
        self.alive.heard()

    def test_silence_is_asked_about_and_twice_that_is_the_end(self) -> None:
        self.clock.advance(29.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        self.assertEqual(self.told, ["ask"])
        self.clock.advance(30)
        self.assertEqual(self.told, ["ask", "nothing received for 60 s"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatever_comes_begins_it_anew(self) -> None:
        for _ in range(3):
            self.clock.advance(59)
            self.alive.heard()
            self.clock.advance(0)
        self.clock.pump([30, 29])
        self.assertEqual(self.told, ["ask"] * 4)

    def test_stopped_it_asks_nothing_until_something_comes(self) -> None:
        self.alive.stop()
        self.clock.advance(1000)
        self.assertEqual(self.told, [])
        self.alive.heard()
        self.clock.advance(30)
        self.alive.stop()
        self.clock.advance(1000)
        self.assertEqual(self.told, ["ask"])
