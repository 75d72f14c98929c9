"""The server's port, byte for byte and second for second."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.server.factory import LEAST_IDLE, REFUSALS_AT_ONCE, ChatFactory
from chatproto.stores.memory import MemoryRegistry
from tests.limits import Limits
from tests.net.library_lines import cut_by_twisted
from tests.server.ends import End, connect, lose

REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
REGACK = b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\nStatus: registered\r\n\r\n"
BRIDGE = b"BRIDGE\r\nclientID: alice\r\n\r\n"
EMPTY = b"BRIDGEACK\r\nclientID: \r\nIP: \r\nPort: \r\n\r\n"


def error(status: str) -> bytes:
    return f"ERROR\r\nStatus: {status}\r\n\r\n".encode()


class Served(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.said: list[str] = []
        self.factory = self.make()
        self.end = End()
        self.connection = connect(self.factory, self.end)

    def make(self, most: int = 1000, **limits: float) -> ChatFactory:
        values = Limits(**limits)  # type: ignore[arg-type]
        directory = Directory(MemoryRegistry(values), values)
        return ChatFactory(self.clock, directory, values, most, self.said.append)

    def use(self, **limits: float) -> None:
        self.factory = self.make(**limits)  # type: ignore[arg-type]
        self.connection = connect(self.factory, self.end)

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))


class AConnection(Served):
    def test_answers_and_stays_open(self) -> None:
        for _ in range(3):
            self.connection.dataReceived(REGISTER)
            self.assertEqual(self.end.new(), REGACK)
        self.assertFalse(self.end.disconnecting)

    def test_of_a_unix_socket_is_local(self) -> None:
        end = End()
        end.hostAddr = end.peerAddr = UNIXAddress(b"chat.socket")
        connection = self.factory.buildProtocol(end.peerAddr)
        assert connection is not None
        connection.makeConnection(end)
        connection.dataReceived(REGISTER)
        self.assertEqual(end.value(), REGACK)

    def test_answers_all_of_a_chunk_in_one_write(self) -> None:
        self.connection.dataReceived(REGISTER * 5 + BRIDGE)
        self.assertEqual(self.end.value(), REGACK * 5 + EMPTY)
        self.assertEqual(self.end.writes, 1)

    def test_answers_requests_byte_by_byte(self) -> None:
        for byte in REGISTER:
            self.connection.dataReceived(bytes([byte]))
        self.assertEqual(self.end.value(), REGACK)
        self.assertEqual(len(self.factory.wheel), 0)

    def test_needs_no_timer_for_whole_requests(self) -> None:
        self.connection.dataReceived(REGISTER + BRIDGE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reports_errors_and_continues(self) -> None:
        self.connection.dataReceived(b"LOG\r\n\r\nREGISTER\r\n\r\n" + BRIDGE)
        self.assertEqual(
            self.end.value(), error("405 method not allowed") + error("400 malformed") + EMPTY
        )
        self.assertFalse(self.end.half_closed)

    def test_prints_the_lines_of_the_assignment(self) -> None:
        self.connection.dataReceived(REGISTER + BRIDGE)
        self.assertEqual(
            self.said,
            ["REGISTER: alice from 127.0.0.1:3000 received", "BRIDGE: alice 127.0.0.1:3000"],
        )

    def test_formats_no_lines_without_a_printer(self) -> None:
        self.factory.say = None
        self.connection.dataReceived(REGISTER)
        self.assertEqual(self.said, [])

    def test_traces_every_message_in_and_out(self) -> None:
        lines: list[str] = []
        self.factory.trace = lines.append
        self.connection.dataReceived(b"PROBE\n\nL\xc3\xb6G\r\n\r\n")
        self.connection.refuse(408)
        self.assertEqual(
            lines,
            [
                "127.0.0.1:40000 -> PROBE\\r\\n\\r\\n",
                "127.0.0.1:40000 <- PROBEACK\\r\\n\\r\\n",
                "127.0.0.1:40000 -> (method 'L\\xf6G')",
                "127.0.0.1:40000 <- ERROR\\r\\nStatus: 405 method not allowed\\r\\n\\r\\n",
                "127.0.0.1:40000 <- ERROR\\r\\nStatus: 408 too slow\\r\\n\\r\\n",
            ],
        )

    def test_closes_without_a_word_on_tls_for_now(self) -> None:
        self.connection.dataReceived(b"\x16\x03\x01\x02\x00" + REGISTER)
        self.assertEqual(self.end.value(), b"")
        self.assertTrue(self.end.disconnecting)

    def test_knows_a_caller_of_this_machine_by_its_own_address(self) -> None:
        for host, local in (("192.0.2.7", True), ("192.0.2.8", False)):
            connection = connect(self.factory, End(host, 1, ours="192.0.2.7"))
            connection.dataReceived(b"\r\n")
            assert connection._source is not None
            self.assertIs(connection._source.local, local)

    def test_marks_its_lease_at_its_end(self) -> None:
        self.connection.dataReceived(REGISTER)
        lease = self.factory.directory.registry.find("alice")
        assert lease is not None
        self.assertTrue(lease.source.alive)
        lose(self.connection)
        self.assertFalse(lease.source.alive)
        self.assertEqual(len(self.factory), 0)


class AnEndingConnection(Served):
    """A limit, binary or HTTP: the status, our side closed, the whole when the other closes."""

    def assert_refused(self, data: bytes, status: str) -> None:
        self.connection.dataReceived(data)
        self.assertEqual(self.end.new(), error(status))
        self.assertTrue(self.end.half_closed)
        self.assertFalse(self.end.disconnecting)

    def test_says_why(self) -> None:
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "405 method not allowed")

    def test_reads_no_more(self) -> None:
        self.assert_refused(b"x" * 2000, "413 too large")
        self.connection.dataReceived(REGISTER)
        self.assertEqual(self.end.new(), b"")

    def test_closes_with_its_peer(self) -> None:
        self.assert_refused(b"\x01\r\n", "400 malformed")
        self.connection.readConnectionLost()
        self.assertTrue(self.end.disconnecting)

    def test_is_aborted_if_its_peer_does_not_close(self) -> None:
        self.assert_refused(b"\x01\r\n", "400 malformed")
        self.pass_time(1.8)
        self.assertFalse(self.end.aborted)
        self.pass_time(0.5)
        self.assertTrue(self.end.aborted)

    def test_answers_earlier_requests_first(self) -> None:
        self.connection.dataReceived(REGISTER + b"\x01\r\n" + REGISTER)
        self.assertEqual(self.end.value(), REGACK + error("400 malformed"))


class AHalfClosedConnection(Served):
    def test_is_one_that_can_be(self) -> None:
        self.assertTrue(IHalfCloseableProtocol.providedBy(self.connection))

    def test_gets_its_answer_and_is_closed(self) -> None:
        self.connection.dataReceived(REGISTER)
        self.connection.readConnectionLost()
        self.assertEqual(self.end.value(), REGACK)
        self.assertTrue(self.end.disconnecting)

    def test_completes_a_request_without_its_blank_line(self) -> None:
        self.connection.dataReceived(REGISTER[:-2])
        self.connection.readConnectionLost()
        self.assertEqual(self.end.value(), REGACK)
        self.assertTrue(self.end.disconnecting)

    def test_does_not_complete_another(self) -> None:
        self.connection.dataReceived(REGISTER[:-4])
        self.connection.readConnectionLost()
        self.assertEqual(self.end.value(), error("400 malformed"))

    def test_without_a_request_is_closed(self) -> None:
        self.connection.readConnectionLost()
        self.assertTrue(self.end.disconnecting)


class ASlowRequest(Served):
    def test_without_its_blank_line_is_whole_after_a_while(self) -> None:
        self.connection.dataReceived(REGISTER[:-2])
        self.pass_time(0.35)
        self.assertEqual(self.end.new(), b"")
        self.pass_time(0.25)
        self.assertEqual(self.end.new(), REGACK)
        self.connection.dataReceived(b"\r\n")
        self.assertEqual(self.end.new(), b"")
        self.connection.dataReceived(REGISTER)
        self.assertEqual(self.end.new(), REGACK)
        self.pass_time(200)
        self.assertFalse(self.end.half_closed)

    def test_may_take_its_time_between_lines(self) -> None:
        for line in (b"BRIDGE\r\n", b"Mood: fine\r\n", b"clientID: alice\r\n"):
            self.connection.dataReceived(line)
            if not line.startswith(b"client"):
                self.pass_time(29)
        self.connection.dataReceived(b"\r\n")
        self.assertEqual(self.end.value(), EMPTY)

    def test_is_408_when_a_line_takes_too_long(self) -> None:
        self.connection.dataReceived(b"REGISTER\r\n")
        for _ in range(29):
            self.connection.dataReceived(b"x")
            self.pass_time(1)
        self.assertEqual(self.end.value(), b"")
        self.pass_time(1.2)
        self.assertEqual(self.end.value(), error("408 too slow"))
        self.assertTrue(self.end.half_closed)

    def test_is_408_when_the_whole_takes_too_long(self) -> None:
        self.connection.dataReceived(b"PROBE\r\n")
        for _ in range(11):
            self.pass_time(10)
            self.connection.dataReceived(b"a: b\r\n")
        self.assertEqual(self.end.value(), b"")
        self.pass_time(10.2)
        self.assertEqual(self.end.value(), error("408 too slow"))

    def test_has_a_time_of_its_own(self) -> None:
        for _ in range(20):
            self.connection.dataReceived(b"\r\nPROBE\r\n")
            self.pass_time(10)
        self.assertNotIn(b"408", self.end.value())

    def test_leaves_nothing_behind(self) -> None:
        self.connection.dataReceived(b"PROBE\r\n")
        lose(self.connection)
        self.pass_time(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_is_not_silence(self) -> None:
        self.connection.dataReceived(REGISTER)
        self.clock.advance(86400)
        self.assertEqual(self.end.value(), REGACK)
        self.assertFalse(self.end.disconnecting or self.end.half_closed)


class AConnectionThatAsksForMuch(Served):
    def test_yields_to_others(self) -> None:
        self.use(unsent=1000)
        self.connection.dataReceived(REGISTER * 100)
        self.assertLess(len(self.end.value()), 1000 + 2 * len(REGACK))
        self.assertEqual(self.end.producerState, "paused")
        for _ in range(20):
            self.clock.advance(0)
        self.assertEqual(self.end.value(), REGACK * 100)
        self.assertEqual(self.end.producerState, "producing")

    def test_can_end_before_its_next_turn(self) -> None:
        self.use(unsent=1000)
        self.connection.dataReceived(REGISTER * 100)
        lose(self.connection)
        answered = self.end.value()
        self.clock.advance(0)
        self.assertEqual(self.end.value(), answered)


class AConnectionThatIsNotRead(Served):
    def setUp(self) -> None:
        super().setUp()
        self.use(unsent=1000)
        self.end.full = True

    def test_is_not_read_either(self) -> None:
        self.connection.dataReceived(REGISTER * 100)
        self.assertEqual(self.end.producerState, "paused")
        self.assertLess(len(self.end.value()), 1000 + 2 * len(REGACK))

    def test_continues_when_read_again(self) -> None:
        self.connection.dataReceived(REGISTER * 100 + BRIDGE + REGISTER[:-2])
        for _ in range(20):
            self.end.drain()
        self.assertEqual(self.end.value(), REGACK * 100 + EMPTY)
        self.assertEqual(self.end.producerState, "producing")
        self.connection.dataReceived(b"\r\n")
        self.assertEqual(self.end.value(), REGACK * 100 + EMPTY + REGACK)

    def test_does_not_time_out_meanwhile(self) -> None:
        self.connection.dataReceived(REGISTER * 100 + b"PROBE\r\n")
        self.pass_time(200)
        self.assertNotIn(b"408", self.end.value())

    def test_closes_when_all_is_sent_if_input_has_ended(self) -> None:
        self.connection.dataReceived(REGISTER * 100 + REGISTER[:-2])
        self.connection.readConnectionLost()
        self.assertFalse(self.end.disconnecting)
        self.end.full = False
        self.end.drain()
        for _ in range(20):
            self.clock.advance(0)
        self.assertEqual(self.end.value(), REGACK * 101)
        self.assertTrue(self.end.disconnecting)

    def test_hears_its_last_word_when_all_is_sent(self) -> None:
        self.connection.dataReceived(REGISTER * 100 + b"\x01\r\n")
        self.assertFalse(self.end.half_closed)
        for _ in range(20):
            if not self.end.half_closed:
                self.end.drain()
        self.assertEqual(self.end.value(), REGACK * 100 + error("400 malformed"))
        self.assertTrue(self.end.half_closed)


class HowManyConnections(Served):
    def test_are_open_at_once_is_limited(self) -> None:
        self.use(most=2)
        self.connection.dataReceived(REGISTER)
        silent, newcomer = End(), End()
        connect(self.factory, silent)
        connect(self.factory, newcomer)
        self.assertTrue(silent.aborted)  # it never sent a request
        self.assertFalse(self.end.aborted)
        self.assertEqual(len(self.factory), 2)

    def test_are_open_at_once_is_limited_also_when_all_have_sent_requests(self) -> None:
        self.use(most=1)
        self.connection.dataReceived(REGISTER)
        newcomer = End()
        connect(self.factory, newcomer)
        self.assertEqual(newcomer.value(), error("503 unavailable"))
        self.assertTrue(newcomer.disconnecting)
        self.assertEqual(len(self.factory), 1)

    def test_an_idle_one_that_is_not_registered_makes_room(self) -> None:
        self.use(most=2)
        self.connection.dataReceived(b"PROBE\r\n\r\n")
        registered = End()
        connect(self.factory, registered).dataReceived(REGISTER)
        early, late = End(), End()
        connect(self.factory, early)
        self.assertEqual(early.value(), error("503 unavailable"))
        self.clock.advance(LEAST_IDLE)
        connect(self.factory, late)
        self.assertTrue(self.end.aborted)
        self.assertEqual((late.value(), registered.aborted), (b"", False))

    def test_one_address_has_is_limited(self) -> None:
        self.use(connections_per_address=2)
        ends = [End("192.0.2.1", port) for port in range(3)]
        connections = [connect(self.factory, end) for end in ends]
        self.assertEqual(ends[2].value(), error("429 slow down"))
        self.assertTrue(ends[2].disconnecting)
        lose(connections[0])
        again = End("192.0.2.1")
        connect(self.factory, again)
        self.assertFalse(again.disconnecting)

    def test_a_flood_of_refused_connections_is_closed_without_an_answer(self) -> None:
        self.use(connections_per_address=0)
        address = IPv4Address("TCP", "192.0.2.1", 4000)
        made = [self.factory.buildProtocol(address) for _ in range(REFUSALS_AT_ONCE + 50)]
        self.assertEqual(sum(one is not None for one in made), REFUSALS_AT_ONCE)
        self.assertIsNone(made[-1])
        self.clock.advance(1)
        self.assertIsNotNone(self.factory.buildProtocol(address))

    def test_this_machine_has_is_not_limited(self) -> None:
        self.use(connections_per_address=1, new_burst=1)
        ends = [End("127.0.0.1", port) for port in range(20)]
        for end in ends:
            connect(self.factory, end)
        self.assertFalse(any(end.disconnecting for end in ends))

    def test_get_a_notice_of_a_stop(self) -> None:
        other = End()
        connect(self.factory, other)
        self.connection.dataReceived(REGISTER)
        self.factory.close_all()
        self.assertTrue(self.end.disconnecting and other.disconnecting)


class AConnectionCutByTwisted(AConnection):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self)


class AnEndingConnectionCutByTwisted(AnEndingConnection):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self)


class ASlowRequestCutByTwisted(ASlowRequest):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self)


class UnreadConnectionCutByTwisted(AConnectionThatIsNotRead):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self)
