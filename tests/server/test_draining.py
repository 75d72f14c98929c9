"""A server that takes no new connections and ends when the last one has closed."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.counters import Counters
from chatproto.server.draining import LOOK_INTERVAL, Draining
from chatproto.server.metrics import ServerOverview
from chatproto.server.service import ChatServer
from chatproto.wire.bcp2_server import Closing
from tests.limits import DEFAULTS
from tests.server.ends import End, connect, lose
from tests.server.test_secure_service import with_key


class DrainingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        registry, self.side = with_key(self.clock)
        self.server = ChatServer(self.clock, ["tcp:5555"], registry, self.side)
        self.server.startService()
        self.addCleanup(self.server.stopService)
        self.stops: list[float] = []
        self.draining = Draining(
            self.clock, self.server, [], lambda: self.stops.append(self.clock.seconds())
        )

    def test_ends_when_the_last_connection_has_closed(self) -> None:
        one, other = (connect(self.server.factory, End()) for _ in range(2))
        self.assertEqual(self.draining.begin(DEFAULTS.drain_wait), 2)
        lose(one)
        self.clock.advance(10 * LOOK_INTERVAL)
        self.assertEqual(self.stops, [])
        lose(other)
        self.clock.advance(LOOK_INTERVAL)
        self.assertEqual(len(self.stops), 1)
        self.clock.advance(DEFAULTS.drain_wait)
        self.assertEqual(len(self.stops), 1)

    def test_ends_after_its_time_with_those_that_stay(self) -> None:
        connect(self.server.factory, End())
        self.draining.begin(DEFAULTS.drain_wait)
        self.clock.pump([LOOK_INTERVAL] * int(DEFAULTS.drain_wait / LOOK_INTERVAL - 1))
        self.assertEqual(self.stops, [])
        self.clock.advance(LOOK_INTERVAL)
        self.assertEqual(self.stops, [DEFAULTS.drain_wait])

    def test_a_second_one_sets_another_time(self) -> None:
        connect(self.server.factory, End())
        self.draining.begin(DEFAULTS.drain_wait)
        self.assertEqual(self.draining.begin(5), 1)
        self.clock.pump([LOOK_INTERVAL] * 5)
        self.assertEqual(self.stops, [5.0])

    def test_health_says_so(self) -> None:
        overview = ServerOverview(self.server, cast(Any, None), Counters(), lambda: "")
        self.assertEqual(overview.trouble(), "")
        self.draining.begin(1)
        self.assertIn("draining", overview.trouble())

    def test_keyed_clients_are_dismissed_including_late_ones(self) -> None:
        class Connection:
            def __init__(self) -> None:
                self.told: list[object] = []

            def dismiss(self, message: object) -> None:
                self.told.append(message)

        early, late = Connection(), Connection()
        connect(self.server.factory, End())
        self.side.connections[early] = early  # type: ignore[index, assignment]  # any of them
        self.draining.begin(DEFAULTS.drain_wait)
        self.side.connections[late] = late  # type: ignore[index, assignment]  # as above
        self.clock.advance(LOOK_INTERVAL)
        for one in (early, late):
            self.assertIsInstance(one.told[0], Closing)
        self.side.connections.clear()

    def test_stop_leaves_no_timer(self) -> None:
        before = len(self.clock.getDelayedCalls())
        self.draining.begin(DEFAULTS.drain_wait)
        self.assertEqual(len(self.clock.getDelayedCalls()), before + 1)
        self.draining.stopService()
        self.assertEqual(len(self.clock.getDelayedCalls()), before)
