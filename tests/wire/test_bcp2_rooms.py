"""Tests of the messages about rooms."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire import bcp2_rooms
from chatproto.wire.actions import ACTION, MARK, marked, split_mark
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.room_fields import (
    Listed,
    Occupant,
    read_occupants,
    read_room,
    read_rooms,
)
from chatproto.wire.strict import encode, shown
from tests.wire.bcp2_samples import DATE, decode

texts = st.text(st.characters(exclude_categories=["Cs"]))


class RoomMessageTests(SynchronousTestCase):
    def read(self, text: str, sender: Sender = Sender.CLIENT) -> Bcp2Message | RemoteError:
        (message,) = decode(sender, text.encode())
        return message

    def test_a_room_has_one_spelling(self) -> None:
        asked = self.read("JOIN\r\nCSeq: 1\r\nRoom: #Tea.Room\r\n\r\n")
        self.assertEqual(asked, bcp2_rooms.Join(1, "#tea.room"))
        self.assertEqual(encode(bcp2_rooms.Part(1, "#TEA")), encode(bcp2_rooms.Part(1, "#tea")))

    def test_invalid_room_is_refused(self) -> None:
        for name in ("tea", "#", "#-tea", "##tea", "#te a", "#té", "#K\u212a", "#" + "a" * 64, ""):
            error = self.assertRaises(RemoteError, read_room, name)
            self.assertEqual(error.status, 400)
        self.assertEqual(read_room("#" + "a" * 63), "#" + "a" * 63)

    def test_no_key_of_a_room_is_shown(self) -> None:
        for message in (
            bcp2_rooms.Join(1, "#tea", "sesame"),
            bcp2_rooms.Settings(1, "#tea", "sesame"),
        ):
            self.assertNotIn("sesame", shown(message))
            self.assertNotIn("sesame", repr(message))

    def test_a_key_of_a_room_has_at_most_200_bytes(self) -> None:
        encode(bcp2_rooms.Join(1, "#tea", "ü" * 100))
        self.assertRaises(LocalError, encode, bcp2_rooms.Join(1, "#tea", "ü" * 101))

    def test_empty_key_differs_from_none(self) -> None:
        self.assertIn(b"Secret: \r\n", encode(bcp2_rooms.Settings(1, "#tea", "")))
        self.assertNotIn(b"Secret", encode(bcp2_rooms.Settings(1, "#tea")))

    def test_room_message_has_at_most_8_kib(self) -> None:
        encode(bcp2_rooms.Say(1, "#tea", "x" * 8192))
        error = self.assertRaises(LocalError, encode, bcp2_rooms.Say(1, "#tea", "x" * 8193))
        self.assertEqual(error.status, 413)
        found = self.read("SAY\r\nCSeq: 3\r\nRoom: #tea\r\nContent-Length: 8193\r\n\r\n")
        assert isinstance(found, RemoteError)
        self.assertEqual((found.status, found.cseq), (413, 3))

    def test_lists_are_read_strictly(self) -> None:
        for lines in (b"bob", b"bob king\r\n", b"-bob\r\n", b"bob \r\n", b"\r\n", b"bob op \r\n"):
            self.assertEqual(self.assertRaises(RemoteError, read_occupants, lines).status, 400)
        for lines in (b"#tea 3 x", b"tea 3 x\r\n", b"#tea x\r\n", b"#tea\r\n"):
            self.assertEqual(self.assertRaises(RemoteError, read_rooms, lines).status, 400)

    def test_lists_that_would_be_misread_are_not_sent(self) -> None:
        for members in ((Occupant("a b"),), (Occupant("bob", "king"),), (Occupant("a\r\nb"),)):
            message = bcp2_rooms.NamesAck(1, "#tea", 1, "", members)
            self.assertEqual(self.assertRaises(LocalError, encode, message).status, 400)
        rooms = (Listed("#tea", 1, "two\r\nlines"),)
        self.assertRaises(LocalError, encode, bcp2_rooms.RoomsAck(1, "", rooms))

    @given(texts, st.integers(1, 2**53))
    @example(MARK + "waves", 1)
    def test_quick_writers_agree_with_encode(self, text: str, number: int) -> None:
        words, kind = split_mark(text)  # a text with the mark is an action
        said = bcp2_rooms.Said("#tea", "alice", number, DATE, words, kind=kind)
        made = bcp2_rooms.said_bytes("#tea", "alice", number, DATE, text)
        self.assertEqual(made, encode(said))
        action = bcp2_rooms.said_bytes("#tea", "alice", number, DATE, marked(text, ACTION))
        self.assertEqual(action, encode(replace(said, text=text, kind=ACTION)))
        again = bcp2_rooms.said_bytes("#tea", "alice", number, DATE, text, 7)
        self.assertEqual(again, encode(replace(said, cseq=7)))
        ack = bcp2_rooms.SayAck(number, "#tea", number, DATE)
        self.assertEqual(bcp2_rooms.say_ack_bytes(number, "#tea", number, DATE), encode(ack))

    @given(st.binary(max_size=200))
    def test_no_bytes_break_a_list(self, data: bytes) -> None:
        for read in (read_occupants, read_rooms):
            try:
                read(data)
            except RemoteError as error:
                self.assertEqual(error.status, 400)
