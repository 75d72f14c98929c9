from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.guard import SpeakerLimiter
from tests.limits import Limits

LIMITS = Limits(say_burst=10, say_rate=5.0, say_bytes=16384.0)


class SpeakerLimiterTests(SynchronousTestCase):
    def test_a_burst_passes_and_the_next_waits(self) -> None:
        limiter = SpeakerLimiter(LIMITS)
        for _ in range(10):
            self.assertEqual(limiter.wait(0), 0)
            limiter.spend(0, 1)
        self.assertAlmostEqual(limiter.wait(0), 0.2)
        self.assertEqual(limiter.wait(0.2), 0)

    def test_bytes_are_limited_too(self) -> None:
        limiter = SpeakerLimiter(LIMITS)
        for _ in range(3):
            self.assertEqual(limiter.wait(0), 0)
            limiter.spend(0, 8192)
        self.assertAlmostEqual(limiter.wait(0), 0.5)

    def test_silence_fills_the_bucket_to_its_brim_only(self) -> None:
        limiter = SpeakerLimiter(LIMITS)
        for _ in range(10):
            self.assertEqual(limiter.wait(1000), 0)
            limiter.spend(1000, 1)
        self.assertGreater(limiter.wait(1000), 0)

    def test_clock_set_back_gives_no_tokens(self) -> None:
        limiter = SpeakerLimiter(LIMITS)
        for _ in range(10):
            limiter.spend(100, 1)
        self.assertGreater(limiter.wait(50), 0)

    def test_a_rate_of_nothing_is_very_slow(self) -> None:
        limiter = SpeakerLimiter(Limits(say_burst=1, say_rate=0.0, say_bytes=0.0))
        limiter.spend(0, 1)
        self.assertEqual(limiter.wait(0), 60)

    @given(st.lists(st.integers(1, 8192), min_size=20, max_size=100))
    def test_no_speaker_is_faster_than_the_rates(self, sizes: list[int]) -> None:
        limiter, now = SpeakerLimiter(LIMITS), 0.0
        for size in sizes:
            while (wait := limiter.wait(now)) > 0:
                now += wait
            limiter.spend(now, size)
        self.assertLessEqual(len(sizes), 10 + 5 * now + 1e-3)
        self.assertLessEqual(sum(sizes) - sizes[-1], 16384 * (1 + now) + 1e-3)
