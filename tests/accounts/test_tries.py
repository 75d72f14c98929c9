"""Wrong passwords are counted by the minute, and nothing is counted without end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts import logins
from chatproto.accounts.logins import MINUTE, PasswordTries


class TriesTests(SynchronousTestCase):
    def test_fourth_try_waits_until_the_first_is_a_minute_old(self) -> None:
        counted = PasswordTries(3)
        for now in (0.0, 10.0, 20.0):
            self.assertEqual(counted.wait(["a"], now), 0.0)
            counted.wrong(["a"], now)
        self.assertEqual(counted.wait(["a"], 25.0), 35.0)
        self.assertEqual(counted.wait(["b"], 25.0), 0.0)
        self.assertEqual(counted.wait(["a"], 60.0), 0.0)
        counted.wrong(["a"], 60.0)
        self.assertEqual(counted.wait(["a"], 60.0), 10.0)

    def test_longest_wait_of_several_names_counts(self) -> None:
        counted = PasswordTries(1)
        counted.wrong(["a"], 0.0)
        counted.wrong(["a", "b"], 30.0)
        self.assertEqual(counted.wait(["a", "b", "c"], 40.0), 50.0)
        self.assertEqual(counted.wait([], 40.0), 0.0)

    def test_none_at_all_may_be_allowed(self) -> None:
        self.assertEqual(PasswordTries(0).wait(["a"], 5.0), MINUTE)

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 40)), max_size=40))
    def test_no_minute_has_more_than_three(self, wanted: list[tuple[str, float]]) -> None:
        counted, now = PasswordTries(3), 0.0
        made: list[tuple[str, float]] = []
        for name, later in wanted:
            now += later
            wait = counted.wait([name], now)
            recent = [at for other, at in made if other == name and at > now - MINUTE]
            self.assertEqual(wait > 0, len(recent) >= 3)
            if not wait:
                counted.wrong([name], now)
                made.append((name, now))

    def test_the_oldest_are_forgotten(self) -> None:
        self.patch(logins, "MOST", 10)
        counted = PasswordTries(1)
        for number in range(50):
            counted.wrong([str(number)], 0.0)
        self.assertEqual(counted.wait(["39"], 1.0), 0.0)
        self.assertGreater(counted.wait(["40"], 1.0), 0.0)
