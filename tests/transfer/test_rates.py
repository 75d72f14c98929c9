"""Test whose turn it is to send, at what rate, and the progress shown."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.progress import Progress
from chatproto.transfer.rates import RATE_BURST, RoundRobin, byte_rate


class ByteRateTests(SynchronousTestCase):
    def test_a_rate_of_zero_is_no_limit(self) -> None:
        limiter = byte_rate(0)
        limiter.take(0.0, 10**12)
        self.assertEqual(limiter.wait(0.0), 0.0)

    def test_a_burst_passes_and_then_the_rate(self) -> None:
        limiter = byte_rate(1000.0)
        self.assertEqual(limiter.wait(5.0), 0.0)
        limiter.take(5.0, RATE_BURST + 500)
        self.assertAlmostEqual(limiter.wait(5.0), 0.501)


class TurnsTests(SynchronousTestCase):
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=8))
    def test_no_member_gives_twice_while_another_has_something(self, having: list[int]) -> None:
        left, turns, given_by = dict(enumerate(having)), RoundRobin[int](), list[int]()
        for one in left:
            turns.add(one)

        def give(one: int) -> int | None:
            if not left[one]:
                return None
            left[one] -= 1
            return one

        while (giver := turns.next(give)) is not None:
            given_by.append(giver)
        self.assertEqual(len(given_by), sum(having))
        for one, count in enumerate(having):
            places = [place for place, who in enumerate(given_by) if who == one]
            self.assertEqual(len(places), count)
            for here, there in pairwise(places):
                between = given_by[here + 1 : there]
                self.assertEqual(len(set(between)), len(between))

    def test_removed_member_gives_nothing(self) -> None:
        turns = RoundRobin[str]()
        for one in ("a", "b", "a"):
            turns.add(one)
        self.assertEqual((list(turns), len(turns)), (["a", "b"], 2))
        turns.discard("a")
        turns.discard("a")
        self.assertEqual(turns.next(str.upper), "B")
        self.assertNotIn("a", turns)


class ProgressTests(SynchronousTestCase):
    def test_the_rate_is_that_of_the_last_seconds(self) -> None:
        progress = Progress()
        self.assertEqual((progress.rate, progress.left(10)), (0.0, None))
        for second in range(20):
            progress.at(float(second), 100 * second if second < 10 else 900 + 10 * (second - 9))
        self.assertEqual((progress.rate, progress.left(2000)), (10.0, 100.0))
        self.assertEqual(progress.left(1000), 0.0)

    def test_going_back_begins_anew(self) -> None:
        progress = Progress()
        progress.at(1.0, 500)
        progress.at(2.0, 700)
        progress.at(3.0, 0)
        self.assertEqual((progress.rate, progress.left(10)), (0.0, None))
        progress.at(3.0, 5)
        progress.at(4.0, 10)
        self.assertEqual(progress.rate, 5.0)
