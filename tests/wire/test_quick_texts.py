"""The quick way through SAY and MSG reads what the slow one reads, or nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire.bcp2_peer import Msg
from chatproto.wire.bcp2_rooms import Say
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.fast import TEXT_FORMS, take_text, text_form
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS

SLOW = b"SAY\r\nX: y\r\n"
"""A header more: it makes no difference but that it is read the slow way."""
USUAL = encode(Say(7, "#tea", "hello"))
NUMBERS = st.integers(0, 2**54).map(str) | st.sampled_from(
    ["", "-1", "+1", "01", " 1", "1 ", "9" * 15, "9" * 16, "1_0", "\u0661"]
)
ROOMS = st.sampled_from(
    [
        "#tea",
        "#Tea",
        "tea",
        "#",
        "#-",
        "#a.b_c-d",
        "# tea",
        "#" + "x" * 63,
        "#" + "x" * 64,
        "#\u00e9",
    ]
)
LENGTHS = st.integers(0, 9).map(str) | st.sampled_from(["", "-1", "05", "8192", "8193", "9" * 10])


SAY = TEXT_FORMS[Sender.CLIENT]
MSG = TEXT_FORMS[Sender.PEER]
MSG_SLOW = b"MSG\r\nX: y\r\n"
USUAL_MSG = encode(Msg(7, 1795237200.123, "hello"))
DATES = st.sampled_from(
    [
        "2026-11-21T05:00:00.123Z",
        "2026-11-21T05:00:00Z",
        "2026-11-21T05:00:00.1234Z",
        "2026-02-30T05:00:00.123Z",
        "2026-11-21T25:00:00.123Z",
        "0001-01-01T00:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
        "2026-11-21 05:00:00.123Z",
        "2026-11-21T05:00:00.123z",
        "",
    ]
)


def read(*pieces: bytes, sender: Sender = Sender.CLIENT) -> tuple[list[object], bool, str]:
    receiver = StrictReceiver(sender)
    found = [one for piece in pieces for one in receiver.read(piece)]
    outcome = [one.status if isinstance(one, RemoteError) else one for one in found]
    return [*outcome], receiver.unreadable, receiver.unfinished


class SayTests(SynchronousTestCase):
    def test_usual_message_is_taken_where_it_stands(self) -> None:
        self.assertEqual(
            take_text(SAY, b"PING" + USUAL + b"SAY", 4, 5),
            (Say(7, "#tea", "hello"), 4 + len(USUAL)),
        )

    def test_other_messages_are_left_to_the_parser(self) -> None:
        action = encode(Say(7, "#tea", "hello", "action"))
        for other in (b"", USUAL[:-1], USUAL[1:], USUAL.lower(), action, USUAL[:-1] + b"\xff"):
            self.assertIsNone(take_text(SAY, other, 0, 5))
        self.assertIsNone(take_text(SAY, USUAL, 0, 4))

    @given(NUMBERS, ROOMS, LENGTHS, st.binary(max_size=9) | st.text(max_size=4).map(str.encode))
    def test_both_ways_read_the_same(self, cseq: str, room: str, length: str, rest: bytes) -> None:
        head = f"CSeq: {cseq}\r\nRoom: {room}\r\nContent-Length: {length}\r\n\r\n".encode()
        for behind in (b"", USUAL):
            lines = head + rest + behind
            self.assertEqual(read(b"SAY\r\n" + lines), read(SLOW + lines))

    @given(st.integers(0, 2**53), st.text(max_size=9), st.data())
    def test_message_is_read_wherever_it_is_cut(
        self, cseq: int, text: str, draw: st.DataObject
    ) -> None:
        message = Say(cseq, "#tea", text)
        data = encode(message) + USUAL
        cut = draw.draw(st.integers(0, len(data)))
        self.assertEqual(
            read(data[:cut], data[cut:]), ([message, Say(7, "#tea", "hello")], False, "")
        )

    def test_limits_below_a_usual_head_leave_all_to_the_parser(self) -> None:
        says = (Say(10**15 - 1, "#" + "x" * 63, "x"), Msg(10**15 - 1, 0.0, "x"))
        for sender, longest in zip((Sender.CLIENT, Sender.PEER), map(encode, says), strict=True):
            self.assertIs(text_form(sender, DEFAULTS), TEXT_FORMS[sender])
            head = len(longest) - 1 + 8  # nine digits of length
            line = max(map(len, longest.split(b"\r\n")))
            for small in (
                replace(DEFAULTS, headers=2),
                replace(DEFAULTS, line=line - 1),
                replace(DEFAULTS, header_block=head - 1),
            ):
                self.assertIsNone(text_form(sender, small))
            (error,) = StrictReceiver(sender, replace(DEFAULTS, headers=2)).read(longest)
            assert isinstance(error, RemoteError)
            self.assertEqual(error.status, 413)
        self.assertIsNone(text_form(Sender.SERVER, DEFAULTS))


class MsgTests(SynchronousTestCase):
    def test_usual_message_is_taken_where_it_stands(self) -> None:
        self.assertEqual(
            take_text(MSG, b"PING" + USUAL_MSG + b"MSG", 4, 5),
            (Msg(7, 1795237200.123, "hello"), 4 + len(USUAL_MSG)),
        )

    def test_other_messages_are_left_to_the_parser(self) -> None:
        action = encode(Msg(7, 0.0, "hello", "action"))
        for other in (b"", USUAL_MSG[:-1], USUAL_MSG[1:], action, USUAL_MSG[:-1] + b"\xff"):
            self.assertIsNone(take_text(MSG, other, 0, 5))
        self.assertIsNone(take_text(MSG, USUAL_MSG, 0, 4))

    @given(NUMBERS, DATES, LENGTHS, st.binary(max_size=9) | st.text(max_size=4).map(str.encode))
    def test_both_ways_read_the_same(self, id: str, date: str, length: str, rest: bytes) -> None:
        head = f"ID: {id}\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n".encode()
        for behind in (b"", USUAL_MSG):
            lines = head + rest + behind
            quick = read(b"MSG\r\n" + lines, sender=Sender.PEER)
            self.assertEqual(quick, read(MSG_SLOW + lines, sender=Sender.PEER))

    @given(st.integers(1, 2**53), st.floats(0, 2**37), st.text(max_size=9), st.data())
    def test_message_is_read_wherever_it_is_cut(
        self, id: int, at: float, text: str, draw: st.DataObject
    ) -> None:
        data = encode(Msg(id, at, text)) + USUAL_MSG
        cut = draw.draw(st.integers(0, len(data)))
        found, unreadable, unfinished = read(data[:cut], data[cut:], sender=Sender.PEER)
        first, last = found
        assert isinstance(first, Msg)
        self.assertEqual((first.id, first.text), (id, text))
        self.assertLess(abs(first.at - at), 0.0011)
        self.assertEqual(last, Msg(7, 1795237200.123, "hello"))
        self.assertEqual((unreadable, unfinished), (False, ""))
