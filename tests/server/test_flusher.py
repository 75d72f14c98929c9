"""The store's time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.flusher import INTERVAL, REST, Flusher


class KeeperTests(SynchronousTestCase):
    def test_calls_periodically(self) -> None:
        clock, calls = Clock(), [0]

        def write_behind() -> bool:
            calls[0] += 1
            return False

        keeper = Flusher(clock, write_behind)
        clock.advance(5 * REST)
        keeper.startService()
        self.assertEqual(calls, [0])
        clock.pump([REST] * 3)
        self.assertEqual(calls, [3])
        keeper.stopService()
        clock.advance(5 * REST)
        self.assertEqual((calls, clock.getDelayedCalls()), ([3], []))

    def test_calls_more_often_while_there_is_more_to_write(self) -> None:
        clock, called = Clock(), list[float]()

        def write_behind() -> bool:
            called.append(clock.seconds())
            return len(called) < 3

        keeper = Flusher(clock, write_behind)
        keeper.startService()
        clock.pump([INTERVAL] * round(2.5 * REST / INTERVAL))
        keeper.stopService()
        first = REST
        third = first + 2 * INTERVAL
        self.assertEqual(called, [first, first + INTERVAL, third, third + REST])

    def test_continues_after_an_error(self) -> None:
        clock, calls = Clock(), [0]

        def write_behind() -> bool:
            calls[0] += 1
            raise ArithmeticError

        keeper = Flusher(clock, write_behind)
        keeper.startService()
        clock.advance(REST)
        clock.pump([INTERVAL] * 2)
        keeper.stopService()
        self.assertEqual(calls, [3])
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 3)
