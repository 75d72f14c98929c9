from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.raw_text import BareText
from chatproto.wire.errors import RemoteError


def heard(text: BareText, *chunks: bytes) -> list[str]:
    """The messages that these chunks make, without any silence between them."""
    messages = []
    for chunk in chunks:
        text.feed(chunk)
        while (message := text.take()) is not None:
            messages.append(message)
    return messages


class BareTextTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = BareText(16)

    def test_one_write_is_one_message(self) -> None:
        self.assertEqual(heard(self.text, b"hello", b"you"), ["hello", "you"])
        self.assertIs(self.text.line_ends, False)

    def test_lines_are_messages(self) -> None:
        self.assertEqual(heard(self.text, b"a\nb\r\n\r\n\nc\n"), ["a", "b", "c"])
        self.assertIs(self.text.line_ends, True)

    def test_lines_may_arrive_in_pieces(self) -> None:
        self.assertEqual(heard(self.text, b"a\n", b"he", b"llo", b"\r", b"\n"), ["a", "hello"])

    def test_a_return_and_its_line_feed_may_be_apart(self) -> None:
        self.assertEqual(heard(self.text, b"a\r", b"\nb\n"), ["a", "b"])

    def test_unfinished_line_is_a_message_after_silence(self) -> None:
        self.assertEqual(heard(self.text, b"a\n", b"b"), ["a"])
        self.assertTrue(self.text.unfinished)
        self.assertEqual(self.text.finish(), "b")
        self.assertFalse(self.text.unfinished)
        self.assertIs(self.text.line_ends, False)

    def test_a_character_in_two_segments_stays_whole(self) -> None:
        euro = "5 €".encode()
        for cut in range(1, len(euro)):
            text = BareText(16)
            whole = "".join(heard(text, euro[:cut], euro[cut:]))
            self.assertEqual(whole, "5 €")

    def test_a_broken_character_is_replaced_after_silence(self) -> None:
        self.assertEqual(heard(self.text, b"a\xe2\x82"), [])
        self.assertEqual(self.text.finish(), "a\ufffd")

    def test_rubbish_is_replaced(self) -> None:
        self.assertEqual(heard(self.text, b"\xff\xfea"), ["\ufffd\ufffda"])

    def test_a_long_line_is_refused(self) -> None:
        self.assertEqual(heard(self.text, b"0123456789abcdef\r\n"), ["0123456789abcdef"])
        with self.assertRaises(RemoteError) as caught:
            heard(self.text, b"0123456789abcdefgh\n")
        self.assertEqual(caught.exception.status, 413)

    def test_a_long_line_is_refused_before_its_end_comes(self) -> None:
        with self.assertRaises(RemoteError):
            heard(self.text, b"a\n", b"0123456789", b"0123456789")

    def test_a_long_write_is_cut_between_characters(self) -> None:
        self.assertEqual(heard(self.text, "aäääääääää".encode()), ["aäääääää", "ää"])

    @given(st.lists(st.text(st.sampled_from("abä€\U0001f600"), min_size=1, max_size=4)), st.data())
    def test_lines_are_the_same_however_they_are_split(
        self, lines: list[str], data: st.DataObject
    ) -> None:
        text = BareText(1000)
        heard(text, b"first\n")
        stream = "".join(f"{line}\r\n" for line in lines).encode()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        pieces = [
            stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b
        ]
        self.assertEqual(heard(text, *pieces), lines)

    @given(st.lists(st.binary(max_size=40), max_size=20))
    def test_only_its_own_error_is_raised_and_buffers_are_bounded(
        self, chunks: list[bytes]
    ) -> None:
        text = BareText(16)
        try:
            for chunk in chunks:
                for message in heard(text, chunk):
                    self.assertTrue(message)
                    self.assertNotIn("\n", message)
                    self.assertLessEqual(len(message), 17)
                text.feed(b"")
                self.assertLessEqual(len(text._data), 17)
        except RemoteError as error:
            self.assertEqual(error.status, 413)
