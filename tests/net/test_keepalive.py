"""Tests of the silence that is asked about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.timers import Keepalive, Timers


class KeepaliveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[str] = []
        self.heard_at = 0.0
        self.alive = Keepalive(
            Timers(self.clock),
            30,
            lambda: self.heard_at,
            lambda: self.told.append("ask"),
            self.told.append,
        )
        self.alive.start()

    def test_silence_is_pinged_then_ends_the_connection(self) -> None:
        self.clock.advance(29.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        self.assertEqual(self.told, ["ask"])
        self.clock.advance(30)
        self.assertEqual(self.told, ["ask", "nothing received for 60 s"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_received_data_restart_the_silence(self) -> None:
        for _ in range(3):
            self.clock.advance(59)
            self.heard_at = self.clock.seconds()
            self.clock.advance(0)
        self.clock.pump([30, 29])
        self.assertEqual(self.told, ["ask"] * 4)

    @given(st.lists(st.floats(0.001, 59.0), max_size=20))
    def test_each_long_silence_is_pinged_once(self, silences: list[float]) -> None:
        self.setUp()
        for silence in silences:
            self.clock.pump([0.5] * int(silence // 0.5) + [silence % 0.5])
            self.heard_at = self.clock.seconds()
        asked = sum(silence > 30.5 for silence in silences)
        self.assertLessEqual(asked, len(self.told))
        self.assertLessEqual(len(self.told), sum(silence > 29.5 for silence in silences))
        self.assertEqual(set(self.told) - {"ask"}, set())
        self.clock.pump([30, 30])
        self.assertEqual(self.told[-2:], ["ask", "nothing received for 60 s"])

    def test_stopped_keepalive_does_not_ping(self) -> None:
        self.alive.stop()
        self.clock.advance(1000)
        self.assertEqual(self.told, [])
        self.alive.start()
        self.clock.advance(30)
        self.alive.stop()
        self.clock.advance(1000)
        self.assertEqual(self.told, ["ask"])

    def test_restart_forgets_the_ping(self) -> None:
        self.clock.advance(30)
        self.clock.advance(29)
        self.alive.start()
        self.clock.advance(29)
        self.assertEqual(self.told, ["ask"])
        self.clock.advance(1)
        self.assertEqual(self.told, ["ask", "ask"])
