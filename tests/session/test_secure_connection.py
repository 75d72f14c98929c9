"""A link inside TLS: how it begins, its silence, and how it ends. TLS itself is another test's matter."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatproto.session.effects import Opening
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Msg, MsgAck, Quit, Turn
from tests.limits import DEFAULTS
from tests.net import Wire
from tests.session.secure_link import (
    AT,
    CALL,
    LINGER,
    ME,
    OURS,
    PING,
    SLOW,
    THEIRS,
    Case,
    Owner,
    Shake,
    says,
)


class BeginningTests(Case):
    """TLS, and the call."""

    def test_whoever_calls_begins_tls(self) -> None:
        wire = self.connection(done=False)
        self.assertIs(wire.tls, self.shake)
        self.assertEqual(self.owner.made, 0)

    def test_incoming_connection_continues_with_its_first_bytes(self) -> None:
        self.clock, self.owner, self.shake = Clock(), Owner(), Shake()
        connection = SecurePeerConnection(self.owner, self.clock, DEFAULTS, self.shake, True)
        heard = list[bytes]()

        class Below:
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)

        class Beginning(Wire):
            def startTLS(self, context: Any, normal: bool = True) -> None:
                self.tls, self.protocol = (context, normal), Below()

        wire = Beginning("10.0.0.2", 40000)
        connection.start(wire, b"\x16hello")
        self.assertEqual((wire.tls, heard), ((self.shake, True), [b"\x16hello"]))

    def test_a_refused_key_is_not_spoken_to(self) -> None:
        wire = self.connection(good=False)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual((self.owner.made, self.owner.lost), (0, ["TLS failed"]))

    def test_a_handshake_that_takes_too_long_ends_with_a_sentence(self) -> None:
        wire = self.connection(done=False)
        self.clock.advance(SLOW)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(self.owner.lost, ["the TLS handshake timed out"])

    def test_silent_caller_is_dropped(self) -> None:
        wire = self.connection(called=True)
        self.clock.advance(SLOW * 0.99)
        self.assertFalse(wire.closing)
        self.clock.advance(SLOW * 0.01)
        self.assertTrue(wire.disconnecting)

    def test_caller_without_chat_is_dropped_despite_other_messages(self) -> None:
        wire = self.connection(called=True)
        for _ in range(11):
            self.says(Ping())
            self.clock.advance(SLOW / 10)
        self.assertTrue(wire.disconnecting)

    def test_ringing_caller_has_more_time(self) -> None:
        wire = self.connection(called=True)
        self.says(CALL)
        self.clock.advance(SLOW)
        self.assertFalse(wire.closing)

    def test_ringing_callee_has_more_time(self) -> None:
        wire = self.connection()
        self.clock.advance(SLOW)
        self.assertFalse(wire.closing)

    def test_a_call_and_its_answer_tell_all_of_an_opening(self) -> None:
        for opening in (OURS, THEIRS, Opening(False, "0" * 16, ("1" * 16, 0), "both")):
            self.connection()
            self.l.ask(ME, opening)
            [chat] = self.wrote()
            self.assertEqual(
                (chat.client_id, chat.mode, chat.stream, chat.have, chat.turn),
                (
                    "Alice",
                    "half" if opening.half else "full",
                    opening.stream,
                    opening.have,
                    opening.turn,
                ),
            )
            answered = ChatAck("Bob", chat.mode, chat.stream, chat.have, chat.turn)
            self.says(answered)
            self.assertEqual(self.owner.news, [answered])
            self.connection(called=True)
            self.says(chat)
            self.assertEqual(self.owner.news, [chat])
            self.l.answer(ME, opening)
            [answer] = self.wrote()
            assert isinstance(answer, ChatAck)
            self.assertEqual(answer, ChatAck("Alice", chat.mode, *_rest(chat)))
            self.clock.advance(SLOW)
            self.assertFalse(self.wire.closing)

    def test_chatack_is_sent_before_queued_messages(self) -> None:
        self.connection(called=True)
        self.says(CALL)
        before = len(self.wire.writes)
        self.l.answer(ME, OURS)
        self.write_entry(says(1, "hello"))
        self.assertEqual([type(one) for one in self.wrote()], [ChatAck, Msg])
        self.assertEqual(len(self.wire.writes), before + 2)

    def test_refusal_is_sent_before_the_close(self) -> None:
        wire = self.connection(called=True)
        self.says(CALL)
        self.l.refuse(486)
        self.assertEqual(self.wrote(), [Error(486, about="CHAT")])
        self.assertTrue(wire.disconnecting)

    def test_received_refusal_is_reported(self) -> None:
        self.connection()
        self.says(Error(603, about="CHAT"))
        self.assertEqual(self.owner.news, [Error(603, about="CHAT")])


class SilenceTests(Case):
    """Silence of the peer."""

    def test_silence_is_pinged_after_thirty_seconds(self) -> None:
        self.connection()
        self.clock.advance(PING - 0.01)
        self.assertEqual(self.wrote(), [])
        self.clock.advance(0.01)
        self.assertEqual(self.wrote(), [Ping()])

    def test_and_twice_that_is_the_end(self) -> None:
        wire = self.connection()
        self.clock.advance(PING)
        self.clock.advance(PING * 0.99)
        self.assertFalse(wire.closing)
        self.clock.advance(PING * 0.02)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(self.owner.lost, ["nothing received for 60 s"])

    def test_pingack_restarts_the_silence(self) -> None:
        wire = self.connection()
        for _ in range(10):
            self.clock.advance(PING)
            self.assertEqual(self.wrote(), [Ping()])
            self.says(PingAck())
        self.assertFalse(wire.closing)

    def test_ping_is_answered(self) -> None:
        self.connection()
        self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()])


class EndingTests(Case):
    """Ends of a connection."""

    def test_peer_closes_after_our_farewell(self) -> None:
        wire = self.connection()
        self.l.write_farewell(ME, "")
        self.assertEqual(self.wrote(), [Quit()])
        self.assertFalse(wire.closing)
        wire.ends()
        self.assertEqual(self.owner.lost, ["connection lost"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connection_is_closed_if_the_peer_does_not(self) -> None:
        wire = self.connection()
        self.l.write_farewell(ME, "")
        self.clock.advance(LINGER)
        self.assertTrue(wire.disconnecting)
        self.assertIsNone(wire.producer)
        self.clock.advance(LINGER)
        self.assertTrue(wire.aborted)

    def test_acknowledgements_count_after_our_farewell(self) -> None:
        self.talk()
        self.write_entry(says(1, "one"))
        self.l.write_farewell(ME, "")
        self.says(MsgAck(1))
        self.assertEqual(self.owner.news, [MsgAck(1)])

    def test_other_messages_after_our_farewell_are_ignored(self) -> None:
        self.talk()
        self.l.write_farewell(ME, "")
        self.says(Msg(1, AT, "wait"), Turn(2), PingAck(), Error(603, about="CHAT"))
        self.assertEqual(self.owner.news, [])
        self.assertEqual(self.wrote(), [Quit()])

    def test_crossing_farewells_close_the_connection(self) -> None:
        wire = self.connection()
        self.l.write_farewell(ME, "")
        self.says(Quit())
        self.assertTrue(wire.disconnecting)

    def test_unwritten_messages_before_a_farewell_stay_queued(self) -> None:
        wire = self.connection()
        wire.full = True
        self.write_entry(says(1, "one"))
        self.write_entry(says(2, "two"))
        self.l.write_farewell(ME, "")
        wire.drain()
        self.write_entry(says(3, "three"))
        self.assertEqual(self.wrote(), [Msg(1, AT, "one"), Quit()])
        self.assertEqual([one.id for one in self.owner.spoken], [1])

    def test_a_second_farewell_is_none(self) -> None:
        self.connection()
        self.l.write_farewell(ME, "")
        self.l.write_farewell(ME, "")
        self.assertEqual(self.wrote(), [Quit()])

    def test_farewell_of_the_peer_is_reported(self) -> None:
        self.connection()
        self.says(Quit("dinner"))
        self.assertEqual(self.owner.news, [Quit()])

    def test_dropped_connection_is_silent(self) -> None:
        self.connection()
        self.l.drop()
        self.says(Msg(1, AT, "wait"))
        self.write_entry(says(1, "no"))
        self.assertEqual((self.wrote(), self.owner.news, self.owner.spoken), ([], [], []))

    def test_input_after_an_ending_message_is_ignored(self) -> None:
        self.connection(called=True)
        self.owner.then = lambda news: self.l.drop()
        self.says(CALL, Msg(1, AT, "wait"))
        self.assertEqual(self.owner.news, [CALL])

    def test_excess_connection_gets_a_reason(self) -> None:
        wire = self.connection(called=True)
        self.l.abort()
        wire.ends()
        self.assertTrue(wire.aborted)
        self.assertEqual(self.owner.lost, ["too many callers at once"])

    def test_given_up_with_or_without_a_connection(self) -> None:
        SecurePeerConnection(Owner(), Clock(), DEFAULTS, Shake(), False).give_up()
        wire = self.connection(done=False)
        self.l.give_up()
        self.assertTrue(wire.aborted)

    def test_invalid_input_is_refused_and_closed(self) -> None:
        wire = self.talk()
        wire.says(b"GET / HTTP/1.1\r\n\r\n")
        [error] = self.wrote()
        self.assertIsInstance(error, Error)
        self.assertTrue(wire.disconnecting)
        wire.ends()
        self.assertEqual(self.owner.lost, ["data that is not BCP/2 was received"])

    @given(st.lists(st.binary(min_size=1, max_size=200), max_size=10), st.booleans())
    def test_any_bytes_are_handled_without_a_left_timer(
        self, pieces: list[bytes], old: bool
    ) -> None:
        wire = self.connection(called=True)
        if old:
            self.says(CALL)
        for piece in pieces:
            wire.says(piece)
        wire.ends()
        self.assertEqual(len(self.owner.lost), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


def _rest(chat: Chat) -> tuple[str, tuple[str, int], str]:
    return chat.stream, chat.have, chat.turn
