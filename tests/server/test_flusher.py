"""The store's time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.flusher import Flusher


class KeeperTests(SynchronousTestCase):
    def test_calls_once_a_second_while_it_runs(self) -> None:
        clock, calls = Clock(), [0]

        def write_behind() -> None:
            calls[0] += 1

        keeper = Flusher(clock, write_behind)
        clock.advance(5)
        keeper.startService()
        self.assertEqual(calls, [0])
        clock.pump([1.0] * 3)
        self.assertEqual(calls, [3])
        keeper.stopService()
        clock.advance(5)
        self.assertEqual((calls, clock.getDelayedCalls()), ([3], []))

    def test_goes_on_after_an_error(self) -> None:
        clock, calls = Clock(), [0]

        def write_behind() -> None:
            calls[0] += 1
            raise ArithmeticError

        keeper = Flusher(clock, write_behind)
        keeper.startService()
        clock.pump([1.0] * 3)
        keeper.stopService()
        self.assertEqual(calls, [3])
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 3)
