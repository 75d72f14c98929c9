"""Tests of what messages between two people tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.effects import Opening
from chatproto.session.ledger import MODE, MSG, TURN, StreamEntry
from chatproto.session.peer_messages import (
    AboutFiles,
    Alive,
    Answered,
    Arrived,
    Called,
    CallRefused,
    EntryReceived,
    PeerLeft,
    event_of,
    message_of,
    opening_headers,
)
from chatproto.wire.bcp2_common import Error, PingAck
from chatproto.wire.bcp2_files import FILES
from chatproto.wire.bcp2_peer import Chat, ChatAck, MsgAck, Quit

OPENING = Opening(True, "fedcba9876543210", ("0123456789abcdef", 7), "theirs")


class NewsTests(SynchronousTestCase):
    def test_each_message_is_one_piece_of_news(self) -> None:
        for message, news in (
            (Chat("bob", *opening_headers(OPENING)), Called("bob", OPENING)),
            (ChatAck("bob", *opening_headers(OPENING)), Answered("bob", OPENING)),
            (MsgAck(7), Arrived(7)),
            (PingAck(), Alive()),
            (Quit("bye"), PeerLeft("bye")),
        ):
            self.assertEqual(event_of(message), news)

    def test_an_error_tells_what_it_is_about_or_nothing(self) -> None:
        self.assertEqual(event_of(Error(486, about="CHAT")), CallRefused(486))
        self.assertEqual(event_of(Error(405)), CallRefused(405))  # a server says no more
        self.assertEqual(event_of(Error(401)), CallRefused(401))
        self.assertIsNone(event_of(Error(400)))
        for about in ("OFFER", "DATA", "DONE"):
            error = Error(404, about=about)
            self.assertEqual(event_of(error), AboutFiles(error))
        for error in (Error(400), Error(400, about="MSG")):
            self.assertIsNone(event_of(error))

    def test_all_else_that_people_say_is_about_files(self) -> None:
        for kind in FILES:
            message = kind.__new__(kind)  # whatever is in it
            self.assertIsInstance(event_of(message), AboutFiles)

    @given(
        st.sampled_from((MSG, TURN, MODE)),
        st.integers(1, 2**53),
        st.integers(0, 4_000_000_000_000),
        st.text(max_size=20),
    )
    def test_what_is_numbered_is_read_as_it_was_said(
        self, kind: str, id: int, milliseconds: int, text: str
    ) -> None:
        at = milliseconds / 1000 if kind == MSG else 0.0
        entry = StreamEntry(id, kind, Wall(at), "" if kind == TURN else text)
        heard = event_of(message_of(entry))
        assert isinstance(heard, EntryReceived)
        self.assertEqual(
            (heard.entry.id, heard.entry.kind, heard.entry.text), (id, kind, entry.text)
        )
        self.assertLess(abs(float(heard.entry.at) - at), 0.001)
