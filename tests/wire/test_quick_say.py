"""The quick way through SAY says what the slow one says, or nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire.bcp2_rooms import Say
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.fast import fits_say, take_say
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


def read(*pieces: bytes) -> tuple[list[object], bool, str]:
    receiver = StrictReceiver(Sender.CLIENT)
    found = [one for piece in pieces for one in receiver.read(piece)]
    outcome = [one.status if isinstance(one, RemoteError) else one for one in found]
    return [*outcome], receiver.unreadable, receiver.unfinished


class SayTests(SynchronousTestCase):
    def test_usual_message_is_taken_where_it_stands(self) -> None:
        self.assertEqual(
            take_say(b"PING" + USUAL + b"SAY", 4, 5), (Say(7, "#tea", "hello"), 4 + len(USUAL))
        )

    def test_other_messages_are_left_to_the_parser(self) -> None:
        action = encode(Say(7, "#tea", "hello", "action"))
        for other in (b"", USUAL[:-1], USUAL[1:], USUAL.lower(), action, USUAL[:-1] + b"\xff"):
            self.assertIsNone(take_say(other, 0, 5))
        self.assertIsNone(take_say(USUAL, 0, 4))

    @given(NUMBERS, ROOMS, LENGTHS, st.binary(max_size=9) | st.text(max_size=4).map(str.encode))
    def test_both_ways_read_the_same(self, cseq: str, room: str, length: str, rest: bytes) -> None:
        head = f"CSeq: {cseq}\r\nRoom: {room}\r\nContent-Length: {length}\r\n\r\n".encode()
        for behind in (b"", USUAL):
            lines = head + rest + behind
            self.assertEqual(read(b"SAY\r\n" + lines), read(SLOW + lines))

    @given(st.integers(0, 2**53), st.text(max_size=9), st.data())
    def test_message_is_read_wherever_it_is_cut(self, cseq: int, text: str, draw) -> None:  # type: ignore[no-untyped-def]
        message = Say(cseq, "#tea", text)
        data = encode(message) + USUAL
        cut = draw.draw(st.integers(0, len(data)))
        self.assertEqual(
            read(data[:cut], data[cut:]), ([message, Say(7, "#tea", "hello")], False, "")
        )

    def test_limits_below_a_usual_head_leave_all_to_the_parser(self) -> None:
        self.assertTrue(fits_say(DEFAULTS))
        longest = encode(Say(10**15 - 1, "#" + "x" * 63, "x"))
        head = len(longest) - 1 + 8  # nine digits of length
        line = max(map(len, longest.split(b"\r\n")))
        for small in (
            replace(DEFAULTS, headers=2),
            replace(DEFAULTS, line=line - 1),
            replace(DEFAULTS, header_block=head - 1),
        ):
            self.assertFalse(fits_say(small))
        (error,) = StrictReceiver(Sender.CLIENT, replace(DEFAULTS, headers=2)).read(USUAL)
        assert isinstance(error, RemoteError)
        self.assertEqual(error.status, 413)
