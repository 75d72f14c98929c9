"""Token buckets: what passes in any time, what is waited for, and which keys are forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.rate_limiter import EXAMINED, UNLIMITED, RateLimiter, RateLimiters

RATES = st.floats(0.001, 1e6)
STEPS = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 70_000)), max_size=60)
EPOCHS = st.sampled_from([0.0, 5.0, 1.8e9])


class RateLimiterTests(SynchronousTestCase):
    @given(RATES, st.floats(1, 1e5), EPOCHS, STEPS)
    def test_no_more_than_the_burst_and_the_rate_in_any_time(
        self, rate: float, burst: float, epoch: float, steps: list[tuple[float, float]]
    ) -> None:
        limiter, now, taken = RateLimiter(rate, burst), epoch, list[tuple[float, float]]()
        for pause, cost in steps:
            now += pause
            if limiter.allow(now, min(cost, burst)):
                taken.append((now, min(cost, burst)))
        for first in range(len(taken)):
            total = 0.0
            for last in range(first, len(taken)):
                total += taken[last][1]
                most = burst + (taken[last][0] - taken[first][0] + 4e-6) * rate
                self.assertLessEqual(total, most * (1 + 1e-9))

    @given(RATES, st.floats(1, 1e5), EPOCHS, st.floats(0, 1e6), st.floats(0, 1e6))
    def test_after_the_wait_it_is_allowed_and_not_long_before(
        self, rate: float, burst: float, epoch: float, before: float, cost: float
    ) -> None:
        limiter = RateLimiter(rate, burst)
        limiter.take(epoch, before)
        wait = limiter.wait(epoch, cost)
        if wait > 1e-3:
            self.assertFalse(limiter.allow(epoch + wait * 0.99, cost))
        self.assertTrue(limiter.allow(epoch + wait, cost))

    @given(RATES, st.floats(1, 1e5), st.floats(0, 1e6))
    def test_a_debt_is_waited_for(self, rate: float, burst: float, cost: float) -> None:
        limiter = RateLimiter(rate, burst)
        wait = limiter.take(5.0, cost)
        debt = wait * rate - max(0.0, cost - burst)
        self.assertLessEqual(abs(debt), 1e-9 * cost + 2e-6 * rate)  # trial ignores `delta`
        self.assertEqual(limiter.wait(5.0, 0.0), wait)
        self.assertEqual(limiter.wait(5.0 + wait, 0.0), 0.0)

    @given(st.lists(st.floats(0, 100), max_size=30))
    def test_a_clock_that_jumps_gives_no_more_than_the_time_forward(
        self, times: list[float]
    ) -> None:
        limiter, seen, forward, taken = RateLimiter(2.0, 3.0), 0.0, 0.0, 0
        for now in times:
            forward += max(0.0, now - seen)
            seen = now
            while limiter.allow(now):
                taken += 1
        self.assertLessEqual(taken, 3 + 2 * forward + 1e-3)

    def test_clock_set_back_locks_no_key_out(self) -> None:
        limiter = RateLimiter(1.0, 1.0)
        self.assertTrue(limiter.allow(1000.0))
        self.assertFalse(limiter.allow(10.0))
        self.assertTrue(limiter.allow(11.0))

    def test_a_cost_above_the_burst_waits_for_a_full_bucket_and_overdraws_it(self) -> None:
        limiter = RateLimiter(1.0, 4.0)
        self.assertTrue(limiter.allow(0.0, 10.0))
        self.assertEqual(limiter.wait(0.0, 1.0), 7.0)
        self.assertEqual(limiter.wait(0.0, 10.0), 10.0)

    def test_a_rate_of_zero_gives_the_burst_only(self) -> None:
        limiter = RateLimiter(0.0, 1.0)
        self.assertTrue(limiter.allow(0.0))
        self.assertEqual(limiter.wait(1e9), UNLIMITED)

    def test_an_unlimited_rate_limits_nothing(self) -> None:
        limiter = RateLimiter(UNLIMITED, 1.0)
        self.assertEqual(limiter.take(0.0, 1e12), 0.0)
        self.assertEqual(limiter.wait(0.0, 1e12), 0.0)
        self.assertTrue(limiter.allow(0.0, 1e12))


class RateLimitersTests(SynchronousTestCase):
    def test_each_key_has_a_bucket_of_its_own(self) -> None:
        limiters: RateLimiters[str] = RateLimiters(1.0, 1.0, 10)
        self.assertTrue(limiters.allow("a", 0.0))
        self.assertFalse(limiters.allow("a", 0.0))
        self.assertEqual(limiters.wait("a", 0.0), 1.0)
        self.assertEqual(limiters.wait("b", 0.0), 0.0)
        self.assertTrue(limiters.allow("b", 0.0))
        self.assertEqual(limiters.take("b", 0.0), 1.0)

    def test_new_keys_give_no_key_a_fresh_burst(self) -> None:
        limiters: RateLimiters[int] = RateLimiters(1.0, 1.0, 10)
        self.assertTrue(limiters.allow(-1, 0.0))
        allowed = sum(limiters.allow(key, 0.0) for key in range(1000))
        self.assertEqual(allowed, 10)  # nine of their own, and one of the shared bucket
        self.assertEqual(len(limiters), 10)
        self.assertFalse(limiters.allow(-1, 0.0))

    def test_full_buckets_make_room(self) -> None:
        limiters: RateLimiters[int] = RateLimiters(1.0, 1.0, 10)
        for key in range(10):
            limiters.allow(key, 0.0)
        self.assertTrue(limiters.allow(100, 2.0))
        self.assertEqual(len(limiters), 10 - EXAMINED + 1)

    @given(
        st.lists(st.tuples(st.floats(0, 2), st.integers(0, 12)), max_size=200), st.integers(1, 8)
    )
    def test_each_key_keeps_to_its_rate_and_the_table_to_its_bound(
        self, steps: list[tuple[float, int]], most: int
    ) -> None:
        limiters: RateLimiters[int] = RateLimiters(1.0, 3.0, most)
        now, taken = 0.0, dict[int, int]()
        for pause, key in steps:
            now += pause
            taken[key] = taken.get(key, 0) + limiters.allow(key, now)
            self.assertLessEqual(len(limiters), most)
            # A key may have had a part of the shared bucket before its own.
            self.assertLessEqual(taken[key], 2 * (3 + now) + 1e-3)
