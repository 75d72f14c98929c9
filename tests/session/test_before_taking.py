"""Test the messages allowed before a call inside TLS is accepted, and the rate limit after it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.tls_connection import MESSAGES_AT_ONCE
from chatproto.session.secure_connection import PING_EVERY, WHILE_RINGING, SecurePeerConnection
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_files import Cancel, Data, Done, DoneAck, Offer, OfferAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.net import Wire, joined
from tests.session.secure_link import AT, CALL, DATE, ME, OURS, PING, Case, Owner, Shake

HASH = "0" * 64
IN_A_CONVERSATION: tuple[Bcp2Message, ...] = (
    ChatAck("Bob", "full", "0" * 16),
    Msg(1, AT, "hello"),
    MsgAck(1),
    Turn(1),
    Mode(1, "half"),
    Offer(1, "a", 1, DATE, "text/plain"),
    OfferAck(1, 0, HASH),
    Data(1, 0, b"x"),
    Done(1, HASH),
    DoneAck(1),
    Cancel(1),
)
RUBBISH = (b"HELLO\r\n\r\n", b"MSG\r\nID: x\r\nContent-Length: 0\r\n\r\n", b"\x00\x01\x02")


class BeforeTheCallTests(Case):
    """Only CHAT may come."""

    def test_anything_but_a_call_ends_the_connection_without_an_answer(self) -> None:
        others = (*IN_A_CONVERSATION, Ping(), PingAck(), Quit(), Error(400))
        for data in (*map(encode, others), *RUBBISH):
            wire = self.connection(called=True)
            wire.says(data)
            self.assertTrue(wire.aborted, data)
            self.assertEqual((self.wrote(), self.owner.news), ([], []))

    def test_a_flood_costs_one_message(self) -> None:
        wire = self.connection(called=True)
        wire.says(encode(Ping()) * 10_000)
        self.assertEqual((wire.aborted, self.wrote()), (True, []))


class WhileItRingsTests(Case):
    """Between CHAT and its taking."""

    def ring(self) -> Wire:
        wire = self.connection(called=True)
        self.says(CALL)
        return wire

    def test_message_of_a_conversation_ends_a_ringing_call(self) -> None:
        for data in (*map(encode, (*IN_A_CONVERSATION, CALL)), *RUBBISH):
            wire = self.ring()
            wire.says(data)
            self.assertTrue(wire.aborted, data)
            self.assertEqual(len(self.owner.news), 1)

    def test_one_ping_in_ten_seconds_is_answered_and_more_end_the_call(self) -> None:
        wire = self.ring()
        self.says(Ping())
        for _ in range(4):
            self.clock.advance(PING_EVERY)
            self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()] * 5)
        self.says(Ping(), Ping())
        self.assertTrue(wire.aborted)

    def test_every_kind_of_message_is_limited_while_ringing(self) -> None:
        for message in (PingAck(), Error(400)):
            wire = self.ring()
            self.says(*[message] * (WHILE_RINGING - 1))
            self.assertFalse(wire.aborted)
            self.says(message)
            self.assertTrue(wire.aborted)

    def test_caller_can_hang_up(self) -> None:
        wire = self.ring()
        self.says(Quit())
        self.assertEqual((len(self.owner.news), wire.aborted), (2, False))

    def test_callee_may_send_nothing_else_before_its_answer(self) -> None:
        for data in (encode(Msg(1, AT, "hello")), encode(Data(1, 0, b"x")), *RUBBISH):
            wire = self.connection()
            self.l.ask(ME, OURS)
            wire.says(data)
            self.assertTrue(wire.aborted, data)

    def test_dialled_peer_does_not_call_on_our_connection(self) -> None:
        self.connection()
        self.l.conversation = None
        self.says(CALL)
        self.assertEqual(self.owner.news, [])

    def test_unexpected_chatack_ends_the_connection(self) -> None:
        wire = self.connection()
        self.says(ChatAck("Bob", "full", "0" * 16))
        self.assertEqual((wire.aborted, self.owner.news), (True, []))


class Pair(SynchronousTestCase):
    """Two ends with one clock, each with what the other writes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.owners = Owner(), Owner()
        self.connections = [
            SecurePeerConnection(owner, self.clock, DEFAULTS, Shake(), called)
            for owner, called in zip(self.owners, (False, True), strict=True)
        ]
        self.connections[0].conversation = self.owners[0]
        self.wires = [
            joined(connection, Wire("10.0.0.2", 40000)) for connection in self.connections
        ]
        for connection in self.connections:
            connection.handshakeCompleted()

    def carry(self) -> None:
        for _ in range(4):
            for here, there in ((0, 1), (1, 0)):
                data = self.wires[here].new()
                if data and not self.wires[there].closing:
                    self.wires[there].says(data)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.carry()

    def test_a_call_taken_after_55_seconds_works(self) -> None:
        caller, called = self.connections
        caller.ask(ME, OURS)
        self.carry()
        self.wait(55)
        called.answer(ME, OURS)
        self.carry()
        self.assertIsInstance(self.owners[0].news[-1], ChatAck)
        caller.acknowledge(0)
        self.wires[1].says(encode(Msg(1, AT, "hello")))
        heard = [type(news) for news in self.owners[1].news if not isinstance(news, PingAck)]
        self.assertEqual(heard, [Chat, Msg])
        self.wait(int(PING * 3))
        self.assertFalse(any(wire.closing for wire in self.wires))


class ReadingTests(Case):
    """After a call was taken."""

    def test_answers_that_cannot_be_written_do_not_pile_up(self) -> None:
        wire = self.talk()
        wire.full = True
        self.says(Ping())
        for _ in range(1000):
            self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()])
        wire.drain()
        self.assertEqual(self.wrote(), [PingAck()])

    def test_acknowledgements_that_cannot_be_written_become_one(self) -> None:
        wire = self.talk()
        self.owner.then = lambda news: self.l.acknowledge(news.id)
        wire.full = True
        for id in range(1, 100):
            self.says(Msg(id, AT, "x"))
        self.assertEqual(self.wrote(), [MsgAck(1)])
        wire.drain()
        self.assertEqual(self.wrote(), [MsgAck(99)])

    def test_reading_stops_while_an_error_is_queued(self) -> None:
        wire = self.talk()
        wire.full = True
        wire.says(b"HELLO\r\n\r\n")
        self.assertEqual(wire.producerState, "paused")
        wire.drain()
        self.assertEqual(wire.producerState, "producing")

    def test_many_messages_at_once_are_read_in_slices(self) -> None:
        wire = self.talk()
        wire.says(b"".join(encode(Msg(id, AT, "x")) for id in range(1, 201)))
        self.assertEqual((len(self.owner.news), wire.producerState), (MESSAGES_AT_ONCE, "paused"))
        for _ in range(4):
            self.clock.advance(0)
        self.assertEqual([news.id for news in self.told()], list(range(1, 201)))
        self.assertEqual(wire.producerState, "producing")

    def test_data_before_the_end_are_read_before_the_end_is_reported(self) -> None:
        wire = self.talk()
        wire.says(b"".join(encode(Msg(id, AT, "x")) for id in range(1, 201)))
        wire.ends()
        self.assertEqual(self.owner.lost, [])
        for _ in range(4):
            self.clock.advance(0)
        self.assertEqual((len(self.told()), len(self.owner.lost)), (200, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fast_sender_is_delayed(self) -> None:
        costs = list[int]()

        def toll(cost: int) -> float:
            costs.append(cost)
            return 2.5 if cost else 0.0

        wire = self.talk()
        self.l.toll = toll
        self.says(Msg(1, AT, "x" * 2048))
        self.assertEqual((costs, wire.producerState), ([0, 3], "paused"))
        self.clock.advance(2.4)
        self.assertEqual(wire.producerState, "paused")
        self.clock.advance(0.1)
        self.assertEqual((costs, wire.producerState), ([0, 3, 0], "producing"))

    def test_delay_follows_the_rate_limiter(self) -> None:
        wire = self.talk()
        self.l.toll = lambda cost: 1.0
        self.says(Msg(1, AT, "x"))
        for _ in range(10):
            self.clock.advance(1)
            self.assertEqual(wire.producerState, "paused")
        self.l.toll = None
        self.clock.advance(1)
        self.assertEqual(wire.producerState, "producing")

    def test_pieces_of_files_cost_nothing(self) -> None:
        self.talk()
        costs = list[int]()

        def toll(cost: int) -> float:
            costs.append(cost)
            return 0.0

        self.l.toll = toll
        self.says(Data(1, 0, b"x" * 1000))
        self.assertEqual(sum(costs), 0)

    def test_debt_of_an_earlier_connection_counts(self) -> None:
        wire = self.talk()
        debts = [1.0, 1.0, 0.0, 0.0]
        self.l.toll = lambda cost: 0.0 if cost else debts.pop(0)
        self.says(Msg(1, AT, "x"))
        for _ in range(2):
            self.assertEqual((self.told(), wire.producerState), ([], "paused"))
            self.clock.advance(1)
        self.assertEqual([news.id for news in self.told()], [1])
        self.assertEqual(wire.producerState, "producing")

    def test_paused_reader_sends_signs_of_life(self) -> None:
        wire = self.talk()
        full = True
        self.l.toll = lambda cost: 1.0 if full else 0.0
        self.says(Msg(1, AT, "x"))
        self.wrote()
        for _ in range(int(10 * DEFAULTS.peer_ping)):
            self.clock.advance(1)
        self.assertEqual(wire.producerState, "paused")
        self.assertEqual((self.wrote(), self.owner.lost), ([PingAck()] * 20, []))
        full = False
        self.clock.advance(1)
        self.assertEqual([news.id for news in self.told()], [1])
        self.clock.advance(DEFAULTS.peer_ping / 2)
        self.assertEqual((self.wrote(), wire.producerState), ([], "producing"))

    def test_signs_of_life_are_repeated_while_paused(self) -> None:
        self.talk()
        self.l.hold(True)
        for _ in range(3):
            self.clock.advance(DEFAULTS.peer_ping / 2)
            self.assertEqual(self.wrote(), [PingAck()])

    def test_no_sign_of_life_is_sent_to_a_full_transport(self) -> None:
        wire = self.talk()
        wire.full = True
        self.l.hold(True)
        for _ in range(100):
            self.clock.advance(DEFAULTS.peer_ping)
        self.assertEqual(self.wrote(), [PingAck()])

    def told(self) -> list[Any]:
        return [news for news in self.owner.news if isinstance(news, Msg)]
