"""Deadlines in one place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.timer_wheel import TimerWheel

steps = st.lists(
    st.tuples(st.sampled_from("sdt"), st.integers(0, 5), st.integers(0, 100)), max_size=60
)


class AWheel(SynchronousTestCase):
    def test_returns_due_keys_in_order(self) -> None:
        wheel: TimerWheel[str] = TimerWheel()
        wheel.set("b", 2.0)
        wheel.set("a", 1.0)
        wheel.set("c", 30.0)
        self.assertEqual(wheel.expire(0.9), [])
        self.assertEqual(wheel.expire(5.0), ["a", "b"])
        self.assertEqual((len(wheel), "c" in wheel), (1, True))

    def test_gives_back_a_few_at_a_time(self) -> None:
        wheel: TimerWheel[int] = TimerWheel()
        for number in range(5):
            wheel.set(number, 1.0)
        wheel.set(9, 2.0)
        first = wheel.expire(5.0, 3)
        self.assertEqual((len(first), wheel.is_due(5.0), len(wheel)), (3, True, 3))
        self.assertEqual(wheel.expire(5.0, 3)[-1], 9)
        self.assertEqual((wheel.is_due(5.0), len(wheel)), (False, 0))

    def test_moves_and_drops(self) -> None:
        wheel: TimerWheel[str] = TimerWheel()
        wheel.set("a", 1.0)
        wheel.set("a", 3.0)
        wheel.set("b", 1.0)
        wheel.discard("b")
        wheel.discard("never")
        self.assertEqual(wheel.expire(2.0), [])
        self.assertEqual(wheel.expire(4.0), ["a"])

    @given(steps)
    def test_is_never_early_and_at_most_a_grain_late(
        self, steps: list[tuple[str, int, int]]
    ) -> None:
        wheel: TimerWheel[int] = TimerWheel(0.1)
        deadlines: dict[int, float] = {}
        now = 0.0
        for what, key, tenths in steps:
            if what == "s":
                deadlines[key] = now + tenths / 10
                wheel.set(key, deadlines[key])
            elif what == "d":
                deadlines.pop(key, None)
                wheel.discard(key)
            else:
                now += tenths / 10
                for due in wheel.expire(now):
                    self.assertLessEqual(deadlines.pop(due), now)
                self.assertTrue(all(d > now - 0.11 for d in deadlines.values()))
            self.assertEqual(len(wheel), len(deadlines))
