"""Test which of several servers is tried next, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.places import MOST, Places

counts = st.integers(1, 5)
jitters = st.floats(0, 1)


def places(count: int, jitter: float = 0.5) -> Places:
    return Places([("10.0.0.1", 5000 + number) for number in range(count)], lambda: jitter)


class PlacesTests(SynchronousTestCase):
    @given(counts, st.integers(0, 30), jitters)
    def test_each_round_waits_longer_up_to_a_minute(
        self, count: int, rounds: int, jitter: float
    ) -> None:
        found = places(count, jitter)
        first = [found.wait() for _ in range(count)]
        self.assertEqual(first, [0.0] * count)
        for number in range(rounds):
            wait, *rest = [found.wait() for _ in range(count)]
            usual = min(MOST, 1.5**number)
            self.assertTrue(0.5 * usual <= wait <= 1.5 * usual)
            self.assertEqual(rest, [0.0] * (count - 1))

    def test_retries_never_end(self) -> None:
        found = places(1)
        self.assertEqual([found.wait() for _ in range(10_000)][-1], MOST)

    @given(counts, st.integers(0, 20))
    def test_success_resets_the_wait(self, count: int, failures: int) -> None:
        found = places(count)
        for _ in range(failures):
            found.wait()
        found.reached()
        self.assertEqual(found.wait(), 0.0)

    @given(counts, st.integers(0, 30))
    def test_each_has_its_turn(self, count: int, moves: int) -> None:
        found = places(count)
        for _ in range(moves):
            found.move_on()
        self.assertEqual(found.current, ("10.0.0.1", 5000 + moves % count))
        self.assertEqual(found.name, f"10.0.0.1:{5000 + moves % count}")

    @given(st.integers(2, 5), st.integers(0, 10))
    def test_dropped_address_is_not_tried_again(self, count: int, moves: int) -> None:
        found = places(count)
        for _ in range(moves):
            found.move_on()
        dropped = found.current
        self.assertTrue(found.drop())
        met = []
        for _ in range(count - 1):
            found.move_on()
            met.append(found.current[1])
        after = [5000 + (dropped[1] - 5000 + step) % count for step in range(1, count)]
        self.assertEqual(met, after)
        self.assertEqual(len(found), count - 1)

    def test_the_last_is_not_dropped(self) -> None:
        found = places(1)
        self.assertFalse(found.drop())
        self.assertEqual(found.current, ("10.0.0.1", 5000))

    @given(st.integers(0, 100), jitters)
    def test_no_client_returns_before_the_announced_time(self, told: int, jitter: float) -> None:
        self.assertTrue(told <= places(1, jitter).pause(told) <= told + 1)
        self.assertTrue(told <= places(2, jitter).patience(told) <= 1.501 * told)

    def test_waits_after_closing_grow_with_its_retry_after(self) -> None:
        found = places(1)
        found.pause(20)
        self.assertEqual([found.wait() for _ in range(6)], [5.0, 5.0, 5.0, 5.0, 1.5**4, 1.5**5])
        found.reached()
        self.assertEqual([found.wait(), found.wait()], [0.0, 1.0])

    def test_client_that_finds_no_server_waits_as_after_a_failure(self) -> None:
        found = places(1)
        found.pause(4)
        self.assertEqual(found.wait(), 1.0)
