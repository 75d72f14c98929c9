"""A PUNCH and its INTRODUCE, in whichever order they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.punches import Punches


class PunchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.punches: Punches[str] = Punches()

    def test_punch_is_accepted_for_a_minute_after_the_introduction(self) -> None:
        self.assertEqual(self.punches.introduced("call", 100.0), [])
        self.assertTrue(self.punches.received("A", "call", 159.9))
        self.assertFalse(self.punches.received("B", "other", 159.9))
        self.assertFalse(self.punches.received("C", "call", 160.0))

    def test_early_punch_waits_5_seconds(self) -> None:
        self.assertFalse(self.punches.received("A", "call", 100.0))
        self.assertFalse(self.punches.received("B", "call", 102.0))
        self.assertFalse(self.punches.received("C", "other", 102.0))
        self.assertEqual(self.punches.deadline, 105.0)
        self.assertEqual(self.punches.due(104.9), [])
        self.assertEqual(self.punches.due(105.0), ["A"])
        self.assertEqual(self.punches.introduced("call", 106.0), ["B"])
        self.punches.lost("C")
        self.assertIsNone(self.punches.deadline)
        self.assertEqual(self.punches.due(1000.0), [])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["introduced", "came", "lost", "due"]), st.sampled_from("xy")
            ),
            max_size=40,
        )
    )
    def test_each_connection_is_known_or_late_or_lost_once(
        self, steps: list[tuple[str, str]]
    ) -> None:
        punches: Punches[int] = Punches()
        settled: list[int] = []
        for number, (what, call) in enumerate(steps):
            now = float(number)
            match what:
                case "introduced":
                    settled += punches.introduced(call, now)
                case "came":
                    if punches.received(number, call, now):
                        settled.append(number)
                case "lost":
                    punches.lost(number - 1)
                    if steps[number - 1][0] == "came" and number - 1 not in settled and number:
                        settled.append(number - 1)
                case "due":
                    settled += punches.due(now)
        settled += punches.due(1000.0)
        came = [number for number, (what, _) in enumerate(steps) if what == "came"]
        self.assertEqual(sorted(settled), came)
        self.assertIsNone(punches.deadline)
