"""Test the rate of sending and the progress shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.progress import Progress
from chatproto.transfer.rates import RATE_BURST, byte_rate


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
