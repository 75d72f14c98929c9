"""Connections that began with RELAY, and pipes of two of them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chatproto.relay.pipe import CHUNK, HELD
from chatproto.wire.plain_blocks import Relay
from chatproto.wire.strict import encode
from tests.relay.ends import ACK, Relayed

REFUSED = b"ERROR\r\nStatus: 403 refused\r\n\r\n"


class Joining(Relayed):
    def test_both_ends_get_relayack_when_the_second_connects(self) -> None:
        tickets = self.issue()
        one, here = self.come(encode(Relay(tickets[0])))
        self.assertEqual(here.new(), b"")
        other, there = self.come(encode(Relay(tickets[1])))
        self.assertEqual((here.new(), there.new()), (ACK, ACK))
        self.assertEqual(self.counter.good, [one, other])
        self.assertEqual(self.relays.open_pipes, 1)

    @given(st.lists(st.integers(1, 45), max_size=6))
    def test_however_the_block_was_cut(self, cuts: list[int]) -> None:
        self.use()
        data = encode(Relay(self.issue()[0]))
        edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
        parts = [data[at:end] for at, end in pairwise(edges)]
        connection, end = self.come(parts[0])
        for part in parts[1:]:
            self.assertEqual(len(self.relays.pairing), 0)
            connection.dataReceived(part)
        self.assertEqual(len(self.relays.pairing), 1)
        self.assertEqual(end.new(), b"")

    def test_a_ticket_that_is_not_good_is_refused_and_the_connection_ends(self) -> None:
        connection, end = self.come(b"RELAY\r\nTicket: nonsense\r\n\r\n")
        self.assertEqual(end.new(), REFUSED)
        self.assertTrue(end.half_closed)
        self.assertEqual(self.counter.good, [])
        self.assertEqual(self.relays.counts.refused, 1)
        connection.dataReceived(b"more")
        self.assertEqual(end.new(), b"")
        self.pass_time(2.0)
        self.assertTrue(end.aborted)

    def test_a_ticket_serves_one(self) -> None:
        block = encode(Relay(self.issue()[0]))
        self.come(block)
        self.assertEqual(self.come(block)[1].new(), REFUSED)

    def test_bytes_before_the_pipe_are_refused(self) -> None:
        first, second = (encode(Relay(ticket)) for ticket in self.issue())
        self.assertIn(b"400", self.come(first + b"x")[1].new())
        connection, end = self.come(second)
        connection.dataReceived(b"x")
        self.assertIn(b"400", end.new())
        self.assertEqual(len(self.relays.pairing), 0)

    def test_wait_ends_with_the_ticket(self) -> None:
        tickets = self.issue()
        self.clock.advance(20.0)
        _, end = self.come(encode(Relay(tickets[0])))
        self.pass_time(39.9)
        self.assertEqual(end.new(), b"")
        self.pass_time(0.1)
        self.assertEqual(end.new(), b"ERROR\r\nStatus: 480 known but away\r\n\r\n")
        self.assertEqual(self.relays.counts.alone, 1)
        self.assertEqual(self.come(encode(Relay(tickets[1])))[1].new(), REFUSED)

    def test_a_block_that_does_not_end_is_too_slow(self) -> None:
        end = self.come(b"RELAY\r\nTicket: ")[1]
        self.pass_time(10.0)
        self.assertIn(b"408", end.new())

    def test_a_connection_that_broke_is_not_met(self) -> None:
        tickets = self.issue()
        connection, _ = self.come(encode(Relay(tickets[0])))
        self.lose(connection)
        self.assertEqual(self.counter.gone, [connection])
        self.assertEqual(self.come(encode(Relay(tickets[1])))[1].new(), b"")

    def test_connection_that_ends_while_waiting_is_not_paired(self) -> None:
        tickets = self.issue()
        connection, end = self.come(encode(Relay(tickets[0])))
        connection.readConnectionLost()
        self.assertTrue(end.disconnecting)
        self.assertEqual(self.come(encode(Relay(tickets[1])))[1].new(), b"")


class Piping(Relayed):
    def test_stream_carries_exactly_the_bytes_of_the_peer(self) -> None:
        (one, here), (other, there) = self.couple()
        for data in (b"\x16\x03\x01", b"RELAY\r\n\r\n", b"x" * 40000):
            one.dataReceived(data)
            self.assertEqual((here.new(), there.new()), (b"", data))
            other.dataReceived(data[::-1])
            self.assertEqual((here.new(), there.new()), (data[::-1], b""))
        self.assertEqual(self.relays.counts.bytes, 2 * (3 + 9 + 40000))

    def test_end_of_one_closes_the_other_after_queued_bytes(self) -> None:
        for way in ("readConnectionLost", "connectionLost"):
            self.use()
            (one, _), (other, there) = self.couple()
            one.dataReceived(b"last words")
            getattr(one, way)()
            self.assertEqual(there.new(), b"last words")
            self.assertTrue(there.half_closed)
            self.assertIsNone(there.producer)
            self.assertEqual(self.relays.open_pipes, 0)
            other.dataReceived(b"too late")
            other.readConnectionLost()
            self.assertTrue(there.disconnecting)

    def test_the_server_ends_both(self) -> None:
        (one, here), (_, there) = self.couple()
        one.close()
        self.assertTrue(here.half_closed and there.half_closed)
        self.pass_time(2.0)
        self.assertTrue(here.aborted and there.aborted)

    def test_a_pipe_without_a_byte_ends_after_120_seconds(self) -> None:
        (one, here), (_, there) = self.couple()
        self.pass_time(100.0)
        one.dataReceived(b"x")
        self.pass_time(20.0)
        self.pass_time(99.0)
        self.assertFalse(here.half_closed or there.half_closed)
        self.pass_time(1.0)
        self.assertTrue(here.half_closed and there.half_closed)

    def test_reading_stops_while_the_other_end_does_not_read(self) -> None:
        (_, here), (_, there) = self.couple()
        assert there.producer is not None
        there.producer.pauseProducing()
        self.assertEqual((here.producerState, there.producerState), ("paused", "producing"))
        there.producer.resumeProducing()
        self.assertEqual(here.producerState, "producing")

    def test_a_transport_reads_and_holds_half_of_what_may_be_kept(self) -> None:
        for _, end in self.couple():
            self.assertEqual(end.bufferSize, CHUNK)  # type: ignore[attr-defined]
        self.assertEqual(2 * CHUNK, HELD)
        self.assertEqual(HELD, 64 * 1024)


class Rates(Relayed):
    def test_reading_rests_while_the_pipe_is_overdrawn(self) -> None:
        self.use(relay_rate=65536.0, relay_rate_all=0.0)
        (one, here), (_, there) = self.couple()
        one.dataReceived(b"x" * 65536)
        self.assertEqual(here.producerState, "producing")
        one.dataReceived(b"x" * 32768)
        self.assertEqual(len(there.new()), 98304)
        self.assertEqual(here.producerState, "paused")
        self.clock.advance(0.49)
        self.assertEqual(here.producerState, "paused")
        self.clock.advance(0.02)
        self.assertEqual(here.producerState, "producing")

    def test_all_pipes_share_a_rate_limit(self) -> None:
        self.use(relay_rate=0.0, relay_rate_all=65536.0)
        (one, _), _ = self.couple()
        (third, end), _ = self.couple()
        one.dataReceived(b"x" * 65536)
        third.dataReceived(b"x" * 65536)
        self.assertEqual(end.producerState, "paused")
        self.clock.advance(1.0)
        self.assertEqual(end.producerState, "producing")

    def test_reading_resumes_only_without_any_reason_to_pause(self) -> None:
        self.use(relay_rate=65536.0)
        for full_first in (True, False):
            (one, here), (_, there) = self.couple()
            one.dataReceived(b"x" * 131072)
            flow = there.producer
            assert flow is not None
            flow.pauseProducing()
            if full_first:
                flow.resumeProducing()
                self.assertEqual(here.producerState, "paused")
                self.clock.advance(1.0)
            else:
                self.clock.advance(1.0)
                self.assertEqual(here.producerState, "paused")
                flow.resumeProducing()
            self.assertEqual(here.producerState, "producing")

    def test_no_timer_is_left_of_a_pipe_that_ended(self) -> None:
        self.use(relay_rate=65536.0)
        (one, _), _ = self.couple()
        one.dataReceived(b"x" * 131072)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.lose(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])
