"""ctl.sock of a server: commands in, JSON lines out, and what bounds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.ctl import Ctl, CtlConnection
from chatproto.server.work_queue import WorkQueue
from chatproto.wire.errors import StoreTrouble
from tests.limits import DEFAULTS
from tests.server.test_terminal import SmallServer

LIMITS = replace(DEFAULTS, ctl_connections=3, ctl_line=64, ctl_stall=10.0, unsent=500)
OK = {"done": True, "code": "ok"}


class Operator:
    """One connection, and what it read."""

    def __init__(self, ctl: Ctl) -> None:
        self.connection: CtlConnection = ctl.buildProtocol(None)
        self.transport: Any = StringTransport()
        self.connection.makeConnection(self.transport)

    def say(self, data: bytes) -> list[dict[str, Any]]:
        self.connection.dataReceived(data)
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(line) for line in lines]

    def end(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))


class CtlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.server = SmallServer()
        self.ctl = Ctl(self.clock, self.server, WorkQueue(self.clock), LIMITS)

    def addresses(self, count: int) -> None:
        """Have `count` clients, besides the two."""
        self.server.clients |= {f"client-{number}": "[::1]:1" for number in range(count)}

    def test_answers_the_lines_of_the_terminal_and_then_the_code(self) -> None:
        said = Operator(self.ctl).say(b"/info\r\n/kick bob\n/kick bob\n")
        self.assertEqual(
            said,
            [
                {"line": "alice 127.0.0.1:3000"},
                {"line": "bob [::1]:3001"},
                OK,
                {"line": '* "bob" is disconnected and no longer registered'},
                OK,
                {"line": '* no client has the id "bob": /info lists them'},
                {"done": True, "code": "not-found"},
            ],
        )

    def test_wrong_usage_has_its_code(self) -> None:
        for line in (b"/inof", b"/kick", b"/free"):
            said = Operator(self.ctl)
            self.assertEqual(said.say(line + b"\n")[-1], {"done": True, "code": "malformed"})
            said.end()

    def test_store_failure_is_reported_even_within_a_list(self) -> None:
        def failing() -> Iterator[str]:
            yield "alice 127.0.0.1:3000"
            raise StoreTrouble("the disk is full")

        self.server.info_lines = lambda prefix: succeed(failing())  # type: ignore[method-assign]
        operator = Operator(self.ctl)
        expected = [{"line": "* the disk is full"}, {"done": True, "code": "unavailable"}]
        self.assertEqual(operator.say(b"/info\n")[1:], expected)
        self.assertEqual(operator.say(b"/rooms\n")[-1], OK)

    def test_connections_get_only_their_own_answers(self) -> None:
        one, other = Operator(self.ctl), Operator(self.ctl)
        self.assertEqual(len(one.say(b"/info\n")), 3)
        self.assertEqual(other.read(), [])
        self.assertEqual(len(other.say(b"/rooms\n")), 2)

    def test_list_pauses_without_a_reader_and_delays_the_next_command(self) -> None:
        self.addresses(1000)
        slow, quick = Operator(self.ctl), Operator(self.ctl)
        slow.transport.producer.pauseProducing()
        self.assertEqual(slow.say(b"/info\n/rooms\n"), [])
        self.assertEqual(slow.transport.producerState, "paused")
        self.assertEqual(len(quick.say(b"/info\n")), 1003)
        self.assertFalse(slow.transport.disconnecting)
        slow.transport.producer.resumeProducing()
        said = slow.read()
        self.assertEqual((len(said), said[1002]), (1005, OK))
        self.assertEqual(said[-2:], [{"line": "* there are no rooms"}, OK])
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_does_not_read_a_list_is_closed_in_the_end(self) -> None:
        operator = Operator(self.ctl)
        operator.transport.producer.pauseProducing()
        operator.say(b"/info\n")
        self.clock.advance(LIMITS.ctl_stall - 0.1)
        self.assertFalse(operator.transport.disconnecting)
        self.clock.advance(0.1)
        self.assertTrue(operator.transport.disconnecting)
        operator.end()
        self.assertEqual((len(self.ctl), self.clock.getDelayedCalls()), (0, []))

    def test_one_with_too_much_unread_is_closed(self) -> None:
        operator = Operator(self.ctl)
        operator.transport.producer.pauseProducing()
        operator.say(b"/xyz\n" * 3)
        self.assertFalse(operator.transport.disconnecting)
        operator.say(b"/xyz\n" * 5)
        self.assertTrue(operator.transport.disconnecting)
        operator.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_line_that_is_too_long_is_refused_and_the_end(self) -> None:
        operator = Operator(self.ctl)
        self.assertEqual(operator.say(b"/say " + b"x" * 59 + b"\n"), [{"line": "* done"}, OK])
        said = operator.say(b"/say " + b"x" * 60 + b"\n/kick bob\n")
        self.assertIn("64 bytes", said[0]["line"])
        self.assertEqual(said[1:], [{"done": True, "code": "too-large"}])
        self.assertTrue(operator.transport.disconnecting)
        self.assertIn("bob", self.server.clients)

    def test_no_more_than_so_many_at_once(self) -> None:
        operators = [Operator(self.ctl) for _ in range(LIMITS.ctl_connections)]
        refused = Operator(self.ctl)
        self.assertEqual(refused.read()[-1], {"done": True, "code": "too-many"})
        self.assertTrue(refused.transport.disconnecting)
        self.assertEqual(refused.say(b"/kick bob\n"), [])
        refused.end()
        operators[0].end()
        self.assertEqual(Operator(self.ctl).say(b"/rooms\n")[-1], OK)
        self.assertIn("bob", self.server.clients)

    def test_one_that_writes_no_more_is_answered_and_closed(self) -> None:
        operator = Operator(self.ctl)
        operator.transport.producer.pauseProducing()
        operator.say(b"/info\n")
        operator.connection.readConnectionLost()
        self.assertFalse(operator.transport.disconnecting)
        operator.transport.producer.resumeProducing()
        self.assertEqual(operator.read()[-1], OK)
        self.assertTrue(operator.transport.disconnecting)

    def test_connection_lost_within_a_list_leaves_nothing(self) -> None:
        operator = Operator(self.ctl)
        operator.transport.producer.pauseProducing()
        operator.say(b"/info\n")
        operator.end()
        self.assertEqual((len(self.ctl), self.clock.getDelayedCalls()), (0, []))

    def test_quit_is_answered_before_the_end(self) -> None:
        operator, slow = Operator(self.ctl), Operator(self.ctl)
        slow.transport.producer.pauseProducing()
        slow.say(b"/xyz\n")
        self.assertEqual(operator.say(b"/quit\n"), [OK])
        self.assertEqual(self.server.stops, 1)
        ended = self.ctl.finish()
        self.assertTrue(operator.transport.disconnecting)
        operator.end()
        self.assertNoResult(ended)
        self.assertFalse(slow.transport.disconnecting)
        self.clock.advance(LIMITS.farewell_wait)
        self.assertTrue(slow.transport.disconnecting)
        slow.end()
        self.successResultOf(ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.ctl.finish())

    @given(st.lists(st.binary(max_size=30)))
    def test_each_line_is_answered_once_and_as_json(self, lines: list[bytes]) -> None:
        operator = Operator(self.ctl)
        sent = b"".join(line + b"\n" for line in lines)
        said = operator.say(sent)
        self.assertEqual(sum("done" in one for one in said), sent.count(b"\n"))
        operator.end()
