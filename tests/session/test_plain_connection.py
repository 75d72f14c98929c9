"""Tests of a link in plain text: what it writes when, and what it tells."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.rate_limiter import RateLimiter
from chatproto.session.effects import Effect, TextWritten
from chatproto.session.plain_connection import PIECE, PlainPeerConnection
from chatproto.wire.dialects import DIALECTS, Me
from chatproto.wire.plain_blocks import Punch
from chatproto.wire.reader import DialectKnown, Item, Left, PlainMessage
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.net.library_lines import cut_by_twisted

ME = Me("alice", "127.0.0.1", 5556)
OPENER = b"CHAT\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 5556\r\n\r\n"


class Transport(StringTransport):
    """A TCP transport in memory that notes how it was closed."""

    half_closed = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def loseWriteConnection(self) -> None:
        self.half_closed = True


class Notes:
    """An owner that writes down what it is told."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.spoken: list[str] = []
        self.silent = 0
        self.hello = b""
        self.punched: tuple[str, bytes] | None = None
        self.lost: tuple[str, tuple[str, ...]] | None = None
        self.at_once: list[int] = []

    def connection_made(self, connection: PlainPeerConnection) -> None:
        self.made = connection

    def connection_hello(self, connection: PlainPeerConnection, data: bytes) -> None:
        self.hello = data

    def connection_punched(self, connection: PlainPeerConnection, call: str, data: bytes) -> None:
        self.punched = (call, data)

    def items_received(self, connection: PlainPeerConnection, items: list[Item]) -> None:
        self.items += items
        self.at_once.append(len(items))

    def connection_silent(self, connection: PlainPeerConnection) -> None:
        self.silent += 1

    def apply(self, effects: list[Effect]) -> None:
        self.spoken += [one.text for one in effects if isinstance(one, TextWritten)]

    def connection_lost(
        self, connection: PlainPeerConnection, reason: str, unwritten: tuple[str, ...]
    ) -> None:
        self.lost = reason, unwritten


class LinkTests(SynchronousTestCase):
    def connection(self, name: str | None = "canon", **limits: int) -> PlainPeerConnection:
        self.notes, self.clock = Notes(), Clock()
        self.transport = Transport(peerAddress=IPv4Address("TCP", "10.0.0.9", 3000))
        dialect = DIALECTS[name] if name else None
        connection = PlainPeerConnection(
            self.notes, self.clock, replace(DEFAULTS, **limits), dialect
        )
        connection.conversation = self.notes
        connection.makeConnection(self.transport)
        return connection

    def written(self) -> bytes:
        value: bytes = self.transport.value()
        self.transport.clear()
        return value


class PunchTests(LinkTests):
    """A caller whose first bytes say to which introduction it belongs."""

    PUNCH = encode(Punch("0123456789abcdef"))

    @given(st.integers(1, 60))
    def test_punch_is_passed_on_with_the_following_bytes(self, size: int) -> None:
        connection = self.connection(None)
        data = self.PUNCH + b"\x16\x03\x01"
        for at in range(0, len(data), size):
            connection.dataReceived(data[at : at + size])
            if self.notes.punched is not None:
                break
        self.assertEqual(
            self.notes.punched, ("0123456789abcdef", data[len(self.PUNCH) : at + size])
        )
        self.assertEqual(self.notes.items, [])

    def test_text_that_looks_like_punch_is_text(self) -> None:
        for text in (b"PUNCH", b"PU", b"P"):
            self.connection(None).dataReceived(text)
            self.assertEqual(self.notes.items, [])
            self.clock.advance(0.1)
            self.clock.advance(0.1)
            self.assertIsNone(self.notes.punched)
            self.assertIn(PlainMessage(text.decode()), self.notes.items)

    def test_text_that_looked_like_punch_stays_text(self) -> None:
        connection = self.connection(None)
        connection.dataReceived(b"PUNCH")
        connection.dataReceived(b"LINE\n")
        self.clock.advance(0.1)
        self.assertIn(PlainMessage("PUNCHLINE"), self.notes.items)

    def test_one_that_is_wrong_or_never_whole_is_the_end(self) -> None:
        for data in (b"PUNCH\r\nCall: !\r\n\r\n", b"PUNCH\r\n" + b"x" * 300, b"PUNCH\r\nCall"):
            self.connection(None).dataReceived(data)
            self.clock.advance(DEFAULTS.handshake_wait)
            self.clock.advance(DEFAULTS.farewell_wait)
            self.assertTrue(self.transport.disconnecting or self.transport.disconnected, data)
            self.assertIsNone(self.notes.punched)

    def test_dialled_connection_expects_no_punch(self) -> None:
        connection = self.connection()
        connection.dataReceived(self.PUNCH)
        self.assertIsNone(self.notes.punched)


class PaceTests(LinkTests):
    """A peer who talks fast is read in pieces and later; nothing is lost."""

    BLOCK = b"CHAT\r\nmessage: %d\r\n\r\n"

    def said(self) -> list[str]:
        return [item.text for item in self.notes.items if isinstance(item, PlainMessage)]

    def flood(self, connection: PlainPeerConnection, count: int = 1000) -> list[str]:
        connection.dataReceived(b"".join(self.BLOCK % n for n in range(count)))
        return [str(n) for n in range(count)]

    def test_a_chunk_is_read_in_pieces(self) -> None:
        sent = self.flood(self.connection("chatmsg"))
        self.assertLess(len(self.said()), 100)
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(0)
        self.assertEqual(self.said(), sent)
        self.assertLess(max(self.notes.at_once), PIECE // len(self.BLOCK) + 2)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.binary(max_size=5000), st.sampled_from([None, "canon", "raw", "chatmsg", "idhdr"]))
    def test_pieces_say_the_same_as_the_whole(self, data: bytes, name: str | None) -> None:
        def read(size: int) -> list[Item]:
            connection = self.connection(name)
            for at in range(0, len(data), size):
                connection.dataReceived(
                    b"hello " + data[at : at + size] if not at else data[at : at + size]
                )
                for _ in range(6):
                    self.clock.advance(0)
            self.clock.advance(DEFAULTS.text_silence)
            return self.notes.items

        self.assertEqual(read(5000), read(PIECE - 6))

    def test_fast_sender_is_delayed(self) -> None:
        connection = self.connection("chatmsg")
        tokens = RateLimiter(100, 200)
        connection.toll = lambda cost: tokens.take(self.clock.seconds(), cost)
        sent = self.flood(connection)
        for _ in range(4):
            self.clock.advance(0.5)
        self.assertLess(len(self.said()), 500)
        self.assertEqual(self.transport.producerState, "paused")
        for _ in range(30):
            self.clock.advance(0.5)
        self.assertEqual((self.said(), self.transport.producerState), (sent, "producing"))

    def test_paused_message_does_not_time_out(self) -> None:
        connection = self.connection("chatmsg")
        waits = [1000.0, 0.0]
        connection.toll = lambda cost: waits.pop(0) if waits else 0.0
        connection.dataReceived(self.BLOCK % 1 + b"CHAT\r\nmessage: 2\r\n")
        self.clock.advance(1000)
        self.assertIsNone(self.notes.lost)
        self.assertFalse(self.transport.disconnecting or self.transport.disconnected)
        connection.dataReceived(b"\r\n")
        self.assertEqual(self.said(), ["1", "2"])

    def test_data_before_the_end_are_read_before_the_end_is_reported(self) -> None:
        for end in (True, False):
            connection = self.connection("chatmsg")
            sent = self.flood(connection)
            if end:
                connection.readConnectionLost()
            else:
                connection.connectionLost(Failure(ConnectionLost()))
            self.assertIsNone(self.notes.lost)
            self.assertFalse(self.transport.disconnecting)
            for _ in range(100):
                self.clock.advance(0)
            self.assertEqual(self.said(), sent)
            self.assertEqual(self.transport.disconnecting, end)
            self.assertEqual(self.notes.lost is None, end)

    def test_held_connection_resumes(self) -> None:
        connection = self.connection("chatmsg")
        connection.hold(True)
        sent = self.flood(connection, 10)
        self.clock.advance(200)
        self.assertEqual((self.said(), self.transport.producerState), ([], "paused"))
        connection.hold(False)
        self.assertEqual((self.said(), self.transport.producerState), (sent, "producing"))


class WritingTests(LinkTests):
    def test_two_frames_never_share_a_segment(self) -> None:
        connection = self.connection()
        connection.write_opener(ME)
        self.notes.apply(connection.write_text(ME, "one"))
        self.notes.apply(connection.write_text(ME, "two"))
        self.assertEqual(self.written(), OPENER)
        self.clock.advance(0.049)
        self.assertEqual(self.written(), b"")
        self.clock.advance(0.001)
        self.assertEqual(self.written(), b"one\r\n")
        self.assertEqual((self.notes.spoken, connection.backlog), (["one"], 1))
        self.clock.advance(0.05)
        self.assertEqual(self.written(), b"two\r\n")

    def test_nothing_is_written_while_the_transport_is_full(self) -> None:
        connection = self.connection()
        producer = self.transport.producer
        assert producer is not None
        producer.pauseProducing()
        self.notes.apply(connection.write_text(ME, "one"))
        self.clock.advance(10)
        self.assertEqual(self.written(), b"")
        producer.resumeProducing()
        self.assertEqual(self.written(), b"one\r\n")

    def test_farewell_follows_queued_messages_then_closes(self) -> None:
        connection = self.connection()
        self.notes.apply(connection.write_text(ME, "one"))
        connection.write_farewell(ME, "")
        self.clock.advance(0.05)
        self.assertEqual(self.written(), b"one\r\nQUIT\r\n\r\n")
        self.assertFalse(self.transport.half_closed)
        self.clock.advance(0.05)
        self.assertTrue(self.transport.half_closed)
        self.clock.advance(2)
        self.assertTrue(self.transport.disconnected)

    def test_unwritten_messages_are_reported_at_the_end(self) -> None:
        connection = self.connection()
        self.notes.apply(connection.write_text(ME, "one"))
        self.notes.apply(connection.write_text(ME, "two"))
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.notes.lost, ("connection lost", ("two",)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drop_reports_queued_messages(self) -> None:
        connection = self.connection()
        self.notes.apply(connection.write_text(ME, "one"))
        self.notes.apply(connection.write_text(ME, "two"))
        self.written()
        connection.drop()
        self.clock.advance(1)
        self.assertEqual(self.written(), b"")
        connection.connectionLost(Failure(ConnectionLost()))
        assert self.notes.lost is not None
        self.assertEqual(self.notes.lost[1], ("two",))

    def test_transport_uses_nodelay_and_keepalive(self) -> None:
        self.connection()
        self.assertTrue(self.transport.no_delay and self.transport.keep_alive)


class ReadingTests(LinkTests):
    def test_silence_ends_a_bare_message(self) -> None:
        connection = self.connection()
        connection.dataReceived(b"hel")
        self.clock.advance(0.09)
        connection.dataReceived(b"lo")
        self.clock.advance(0.09)
        self.assertEqual(self.notes.items, [])
        self.clock.advance(0.01)
        self.assertEqual(self.notes.items, [PlainMessage("hello")])

    def test_a_caller_is_recognised(self) -> None:
        connection = self.connection(None)
        connection.dataReceived(OPENER)
        self.assertEqual(
            self.notes.items, [DialectKnown(DIALECTS["canon"], "alice", "127.0.0.1", 5556)]
        )
        self.assertEqual((connection.host, connection.port), ("10.0.0.9", 3000))

    def test_silent_caller_is_reported_once_after_two_seconds(self) -> None:
        self.connection(None)
        self.clock.advance(1.9)
        self.assertEqual(self.notes.silent, 0)
        self.clock.advance(10)
        self.assertEqual(self.notes.silent, 1)

    def test_callee_may_be_silent(self) -> None:
        self.connection("canon")
        self.clock.advance(10)
        self.assertEqual(self.notes.silent, 0)

    def test_silent_caller_is_answered_in_the_assumed_dialect(self) -> None:
        connection = self.connection(None)
        connection.assume(DIALECTS["raw"])
        self.notes.apply(connection.write_text(ME, "hello?"))
        self.assertEqual(self.written(), b"hello?")

    def test_the_end_of_input_is_a_farewell(self) -> None:
        connection = self.connection()
        connection.dataReceived(b"bye now")
        connection.readConnectionLost()
        self.assertEqual(self.notes.items, [PlainMessage("bye now"), Left("")])
        self.assertTrue(self.transport.disconnecting)

    def test_a_block_without_end_ends_the_connection_with_a_reason(self) -> None:
        connection = self.connection(None, header_block=64)
        connection.dataReceived(b"CHAT\r\nclientID: a\r\nIP: " + b"x" * 60)
        self.assertTrue(self.transport.disconnected)
        connection.connectionLost(Failure(ConnectionLost()))
        assert self.notes.lost is not None
        self.assertIn("no chat", self.notes.lost[0])

    def test_a_block_that_does_not_go_on_ends_the_connection(self) -> None:
        connection = self.connection(None)
        connection.dataReceived(b"CHAT\r\nclientID: zoe\r\n")
        self.clock.advance(29.9)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnected)

    def test_endless_block_times_out(self) -> None:
        connection = self.connection(None)
        connection.dataReceived(b"CHAT\r\nclientID: zoe\r\n")
        for _ in range(4):
            self.clock.advance(29)
            connection.dataReceived(b"X: y\r\n")
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(4)
        self.assertTrue(self.transport.disconnected)

    def test_tls_is_handed_over_with_nothing_left_behind(self) -> None:
        connection = self.connection(None)
        connection.dataReceived(b"\x16\x03\x01")
        self.assertEqual(self.notes.hello, b"\x16\x03\x01")
        self.assertIs(connection.hand_over(), self.transport)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.transport.producer)

    def test_input_after_our_farewell_is_ignored(self) -> None:
        connection = self.connection()
        connection.write_farewell(ME, "")
        connection.dataReceived(b"wait!")
        self.clock.advance(1)
        self.assertEqual(self.notes.items, [])


class WritingTestsCutByTwisted(WritingTests):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self, bytewise=False)


class ReadingTestsCutByTwisted(ReadingTests):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self, bytewise=False)
