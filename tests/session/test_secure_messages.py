"""Tests of how the messages between two peers are translated."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.effects import Opening
from chatproto.session.ledger import MODE, MSG, TURN, StreamEntry
from chatproto.session.secure_connection import (
    entry_of,
    is_about_files,
    message_of,
    opening_headers,
    opening_of,
    refuses_call,
)
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import FILES
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, Turn

OPENING = Opening(True, "fedcba9876543210", ("0123456789abcdef", 7), "theirs")


class TranslationTests(SynchronousTestCase):
    def test_a_call_and_its_answer_have_the_same_headers(self) -> None:
        for kind in (Chat, ChatAck):
            self.assertEqual(opening_of(kind("bob", *opening_headers(OPENING))), OPENING)

    def test_a_call_is_refused_by_name_or_by_a_server(self) -> None:
        for error in (Error(486, about="CHAT"), Error(405), Error(401)):
            self.assertTrue(refuses_call(error), error)
        for error in (Error(400), Error(405, about="OFFER"), Error(401, about="MSG")):
            self.assertFalse(refuses_call(error), error)

    def test_an_error_about_no_file_does_not_belong_to_a_transfer(self) -> None:
        for about in ("OFFER", "DATA", "DONE"):
            self.assertTrue(is_about_files(Error(404, about=about)))
        for error in (Error(400), Error(400, about="MSG")):
            self.assertFalse(is_about_files(error))
        for kind in FILES:
            self.assertTrue(is_about_files(kind.__new__(kind)))  # whatever is in it

    @given(
        st.sampled_from((MSG, TURN, MODE)),
        st.integers(1, 2**53),
        st.integers(0, 4_000_000_000_000),
        st.text(max_size=20),
    )
    def test_numbered_entries_survive_the_translation(
        self, kind: str, id: int, milliseconds: int, text: str
    ) -> None:
        at = milliseconds / 1000 if kind == MSG else 0.0
        entry = StreamEntry(id, kind, Wall(at), "" if kind == TURN else text)
        message = message_of(entry)
        assert isinstance(message, (Msg, Turn, Mode))
        heard = entry_of(message)
        self.assertEqual((heard.id, heard.kind, heard.text), (id, kind, entry.text))
        self.assertLess(abs(float(heard.at) - at), 0.001)
