"""A link inside TLS: the messages, the silence, and how it ends. TLS itself is another test's matter."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.peer.secure import (
    Answered,
    Arrived,
    Called,
    Gone,
    Heard,
    News,
    Refused,
    SecureLink,
)
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.dialects import Me
from chatproto.wire.limits import DEFAULTS
from chatproto.wire.messages import Sender
from chatproto.wire.strict import StrictDecoder, encode
from tests.net import Wire, joined

ME = Me("Alice", "10.0.0.1", 5001)
DATE = "2025-01-02T03:04:05.678Z"
PING, SLOW, LINGER = DEFAULTS.peer_ping, DEFAULTS.handshake_wait, DEFAULTS.farewell_wait


class Shake:
    """A handshake that has come out as it is told."""

    def __init__(self, good: bool = True) -> None:
        self.peer_key: str | None = "sha256:" + "B" * 52
        self._good = good

    def accepted(self) -> bool:
        return self._good

    def trouble(self, reason: Failure) -> str:
        return "TLS failed"


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.made = 0
        self.news: list[News] = []
        self.spoken: list[tuple[str, int]] = []
        self.lost: list[str] = []
        self.then: Any = None

    def secure_made(self, link: SecureLink) -> None:
        self.made += 1

    def secure_heard(self, link: SecureLink, news: News) -> None:
        self.news.append(news)
        if self.then is not None:
            self.then(news)

    def secure_spoke(self, link: SecureLink, text: str, number: int) -> None:
        self.spoken.append((text, number))

    def secure_lost(self, link: SecureLink, reason: str) -> None:
        self.lost.append(reason)


class Case(SynchronousTestCase):
    """A link, its wire, its time, and a reader of what it says."""

    def link(self, called: bool = False, good: bool = True, done: bool = True) -> Wire:
        self.clock = Clock()
        self.owner = Owner()
        self.shake = Shake(good)
        self.l = SecureLink(self.owner, self.clock, DEFAULTS, self.shake, called)
        self.wire = joined(self.l, Wire("10.0.0.2", 40000))
        self.read = StrictDecoder(Sender.PEER, DEFAULTS)
        if done:
            self.l.handshakeCompleted()
        return self.wire

    def says(self, *messages: Bcp2Message) -> None:
        self.wire.says(b"".join(map(encode, messages)))

    def wrote(self) -> list[Any]:
        return list(self.read.feed(self.wire.new()))


class BeginningTests(Case):
    """TLS, and the call."""

    def test_whoever_calls_begins_tls(self) -> None:
        wire = self.link(done=False)
        self.assertIs(wire.tls, self.shake)
        self.assertEqual(self.owner.made, 0)

    def test_called_it_goes_on_with_a_transport_and_its_first_bytes(self) -> None:
        self.clock, self.owner, self.shake = Clock(), Owner(), Shake()
        link = SecureLink(self.owner, self.clock, DEFAULTS, self.shake, True)
        heard = list[bytes]()

        class Below:
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)

        class Beginning(Wire):
            def startTLS(self, context: Any, normal: bool = True) -> None:
                self.tls, self.protocol = (context, normal), Below()

        wire = Beginning("10.0.0.2", 40000)
        link.start(wire, b"\x16hello")
        self.assertEqual((wire.tls, heard), ((self.shake, True), [b"\x16hello"]))

    def test_a_refused_key_is_not_spoken_to(self) -> None:
        wire = self.link(good=False)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual((self.owner.made, self.owner.lost), (0, ["TLS failed"]))

    def test_a_handshake_that_takes_too_long_ends_with_a_sentence(self) -> None:
        wire = self.link(done=False)
        self.clock.advance(SLOW)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(self.owner.lost, ["the TLS handshake was not done in time"])

    def test_a_caller_who_does_not_call_is_dropped(self) -> None:
        wire = self.link(called=True)
        self.clock.advance(SLOW * 0.99)
        self.assertFalse(wire.closing)
        self.clock.advance(SLOW * 0.01)
        self.assertTrue(wire.disconnecting)

    def test_neither_is_a_caller_saved_by_other_words(self) -> None:
        wire = self.link(called=True)
        for _ in range(11):
            self.says(Ping())
            self.clock.advance(SLOW / 10)
        self.assertTrue(wire.disconnecting)

    def test_whom_we_call_may_ring_longer(self) -> None:
        wire = self.link()
        self.clock.advance(SLOW)
        self.assertFalse(wire.closing)

    def test_a_call_and_its_answer(self) -> None:
        for half in (False, True):
            self.link()
            self.l.write_opener(ME, half)
            [chat] = self.wrote()
            self.assertEqual((chat.client_id, chat.mode), ("Alice", "half" if half else "full"))
            self.says(ChatAck("Bob", "half", "0" * 16))
            self.assertEqual(self.owner.news, [Answered("Bob", True)])
            self.link(called=True)
            self.says(chat)
            self.assertEqual(self.owner.news, [Called("Alice", half)])
            self.l.answer(ME, half)
            [answer] = self.wrote()
            assert isinstance(answer, ChatAck)
            self.assertEqual(answer.mode, chat.mode)
            self.clock.advance(SLOW)
            self.assertFalse(self.wire.closing)

    def test_each_link_has_a_stream_of_its_own(self) -> None:
        streams = set()
        for _ in range(5):
            self.link()
            self.l.write_opener(ME)
            streams.add(self.wrote()[0].stream)
        self.assertEqual(len(streams), 5)

    def test_a_refusal_is_said_and_then_it_closes(self) -> None:
        wire = self.link(called=True)
        self.says(Chat("Bob", "full", "0" * 16))
        self.l.refuse(486)
        self.assertEqual(self.wrote(), [Error(486, about="CHAT")])
        self.assertTrue(wire.disconnecting)

    def test_to_be_refused_is_news(self) -> None:
        self.link()
        self.says(Error(603, about="CHAT"))
        [refused] = self.owner.news
        assert isinstance(refused, Refused)
        self.assertTrue(refused.reason.startswith("603 "))


class SpeakingTests(Case):
    """Messages."""

    def test_they_are_numbered_and_dated(self) -> None:
        self.link()
        self.l.write_text(ME, "one")
        self.l.write_text(ME, "two\nlines")
        first, second = self.wrote()
        self.assertEqual((first.id, first.text), (1, "one"))
        self.assertEqual((second.id, second.text), (2, "two\nlines"))
        self.assertRegex(first.date, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(self.owner.spoken, [("one", 1), ("two\nlines", 2)])

    def test_what_is_heard_is_told_before_it_is_acknowledged(self) -> None:
        self.link()
        self.owner.then = lambda news: self.assertEqual(self.wire.new(), b"")
        self.says(Msg(7, DATE, "hello"))
        self.assertEqual(self.owner.news, [Heard("hello")])
        self.assertEqual(self.wrote(), [MsgAck(7)])
        self.assertTrue(self.l.heard_any)

    def test_an_acknowledgement_is_news(self) -> None:
        self.link()
        self.says(MsgAck(3))
        self.assertEqual(self.owner.news, [Arrived(3)])

    def test_turns_and_modes_are_taken_for_later(self) -> None:
        self.link()
        self.says(Turn(1), Mode(2, "half"), PingAck(), Error(429))
        self.assertEqual((self.owner.news, self.wrote()), ([], []))
        self.assertFalse(self.wire.closing)

    def test_nothing_is_said_to_a_full_transport(self) -> None:
        wire = self.link()
        wire.full = True
        for text in ("one", "two", "three"):
            self.l.write_text(ME, text)
        self.assertEqual([m.text for m in self.wrote()], ["one"])
        self.assertEqual((self.l.backlog, self.l.unwritten), (2, ("two", "three")))
        wire.drain()
        self.assertEqual([m.text for m in self.wrote()], ["two", "three"])
        self.assertEqual(self.l.backlog, 0)

    def test_what_was_never_written_is_there_when_it_is_lost(self) -> None:
        wire = self.link()
        wire.full = True
        self.l.write_text(ME, "one")
        self.l.write_text(ME, "two")
        wire.ends()
        self.assertEqual(self.l.unwritten, ("two",))

    @given(st.lists(st.tuples(st.text(max_size=30), st.booleans()), max_size=20))
    def test_all_that_is_said_arrives_once_in_order(self, words: list[tuple[str, bool]]) -> None:
        wire = self.link()
        for text, full in words:
            if full:
                wire.full = True
            else:
                wire.drain()
            self.l.write_text(ME, text)
        wire.drain()
        found = self.wrote()
        self.assertEqual([(m.text, m.id) for m in found], self.owner.spoken)
        self.assertEqual([m.text for m in found], [text for text, _ in words])
        self.assertEqual([m.id for m in found], list(range(1, len(words) + 1)))

    def test_held_nothing_is_read(self) -> None:
        wire = self.link()
        self.l.hold(True)
        self.assertEqual(wire.producerState, "paused")
        self.l.hold(False)
        self.assertEqual(wire.producerState, "producing")


class SilenceTests(Case):
    """Nothing comes."""

    def test_it_is_asked_about_after_thirty_seconds(self) -> None:
        self.link()
        self.clock.advance(PING - 0.01)
        self.assertEqual(self.wrote(), [])
        self.clock.advance(0.01)
        self.assertEqual(self.wrote(), [Ping()])

    def test_and_twice_that_is_the_end(self) -> None:
        wire = self.link()
        self.clock.advance(PING)
        self.clock.advance(PING * 0.99)
        self.assertFalse(wire.closing)
        self.clock.advance(PING * 0.02)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(self.owner.lost, ["nothing came for 60 s"])

    def test_an_answer_begins_it_anew(self) -> None:
        wire = self.link()
        for _ in range(10):
            self.clock.advance(PING)
            self.assertEqual(self.wrote(), [Ping()])
            self.says(PingAck())
        self.assertFalse(wire.closing)

    def test_their_question_is_answered(self) -> None:
        self.link()
        self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()])


class EndingTests(Case):
    """How it ends."""

    def test_farewell_then_the_close(self) -> None:
        wire = self.link()
        self.l.write_farewell(ME, "")
        self.assertEqual(self.wrote(), [Quit()])
        self.assertTrue(wire.disconnecting)
        self.assertIsNone(wire.producer)
        self.clock.advance(LINGER)
        self.assertTrue(wire.aborted)

    def test_their_farewell_is_news(self) -> None:
        self.link()
        self.says(Quit("dinner"))
        self.assertEqual(self.owner.news, [Gone("dinner")])

    def test_after_ours_nothing_is_heard_or_said(self) -> None:
        self.link()
        self.l.drop()
        self.says(Msg(1, DATE, "wait"))
        self.l.write_text(ME, "no")
        self.assertEqual((self.wrote(), self.owner.news, self.owner.spoken), ([], [], []))
        self.assertEqual(self.l.unwritten, ("no",))

    def test_what_comes_behind_an_ending_word_is_not_taken(self) -> None:
        self.link(called=True)
        self.owner.then = lambda news: self.l.drop()
        self.says(Chat("Bob", "full", "0" * 16), Msg(1, DATE, "wait"))
        self.assertEqual(self.owner.news, [Called("Bob", False)])

    def test_one_of_too_many_is_told_so(self) -> None:
        wire = self.link(called=True)
        self.l.abort()
        wire.ends()
        self.assertTrue(wire.aborted)
        self.assertEqual(self.owner.lost, ["there were too many callers"])

    def test_given_up_with_or_without_a_connection(self) -> None:
        SecureLink(Owner(), Clock(), DEFAULTS, Shake(), False).give_up()
        wire = self.link(done=False)
        self.l.give_up()
        self.assertTrue(wire.aborted)

    def test_what_is_no_bcp2_is_refused_and_closed(self) -> None:
        wire = self.link()
        wire.says(b"GET / HTTP/1.1\r\n\r\n")
        [error] = self.wrote()
        self.assertIsInstance(error, Error)
        self.assertTrue(wire.disconnecting)
        wire.ends()
        self.assertEqual(self.owner.lost, ["they sent what is no BCP/2"])

    @given(st.lists(st.binary(min_size=1, max_size=200), max_size=10), st.booleans())
    def test_no_bytes_make_it_fail_or_leave_a_timer(self, pieces: list[bytes], old: bool) -> None:
        wire = self.link(called=True)
        if old:
            self.says(Chat("Bob", "full", "0" * 16))
        for piece in pieces:
            wire.says(piece)
        wire.ends()
        self.assertEqual(len(self.owner.lost), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
