"""Tests of cutting padded messages."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.padding import NUL, Unpadder
from chatproto.wire.reader import Item, Left, PlainMessage, Reader
from tests.limits import DEFAULTS

words = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1)
NULS_AND_TEXT = st.lists(st.sampled_from([NUL, NUL, b"a", b"bc"])).map(b"".join) | st.binary()
sizes = st.sampled_from((64, 100, 1024))


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def messages(parts: list[bytes | None]) -> list[bytes]:
    """Return the output, cut at each NUL that ended something."""
    return b"".join(NUL if part is None else part for part in parts).split(NUL)


def whole_buffer(text: str, before: str, size: int) -> bytes:
    """The buffer of a C program that held `before` and has `text` and a NUL written over it."""
    said = text.encode() + NUL
    buffer = before.encode().ljust(size, NUL)
    return (said + buffer[len(said) :]).ljust(size, NUL)


class UnpadderTests(SynchronousTestCase):
    @given(NULS_AND_TEXT, st.lists(st.integers(0)))
    def test_the_split_makes_no_difference(self, data: bytes, cuts: list[int]) -> None:
        one, other = Unpadder(1000), Unpadder(1000)
        found = [part for piece in split(data, cuts) for part in one.feed(piece)]
        self.assertEqual(
            messages([*found, *one.settle()]), messages([*other.feed(data), *other.settle()])
        )
        self.assertFalse(one.waits)

    @given(st.binary().filter(lambda data: NUL not in data))
    def test_text_without_a_nul_stays_as_it_is(self, data: bytes) -> None:
        unpadder = Unpadder(1000)
        self.assertEqual((unpadder.feed(data), unpadder.waits), ([data], False))

    @given(st.lists(words))
    def test_strings_sent_with_their_nul_are_messages_each(self, texts: list[str]) -> None:
        unpadder = Unpadder(100_000)
        found = unpadder.feed(b"".join(text.encode() + NUL for text in texts))
        self.assertEqual(
            messages([*found, *unpadder.settle()])[:-1], [text.encode() for text in texts]
        )

    def test_undecided_text_is_bounded(self) -> None:
        unpadder = Unpadder(100)
        found = unpadder.feed(b"a\0" + b"b\0" * 1000)
        self.assertGreater(len(found), 1000)
        self.assertLess(unpadder._size, 101)


class PaddedReaderTests(SynchronousTestCase):
    @given(words, words, sizes, st.lists(st.integers(0)))
    def test_a_whole_buffer_is_its_text(
        self, text: str, before: str, size: int, cuts: list[int]
    ) -> None:
        text, before = text.strip()[:20], before[:60]
        if not text or "QUIT" in text or len(before.encode()) >= size - 2:
            return
        for end in ("", "\n"):
            for last in (b"", b"quit\n".ljust(size, NUL)):
                data = whole_buffer(text + end, before, size)
                reader = Reader()
                items: list[Item] = []
                for part in split(data, cuts):
                    items += reader.feed(part)
                items += reader.silence()
                items += reader.feed(last) + reader.silence()
                said = [item.text for item in items if isinstance(item, PlainMessage)]
                left = [item for item in items if isinstance(item, Left)]
                if text.lower() in ("quit", "over", "exit", "bye", "/quit"):
                    self.assertEqual(said, [])
                else:
                    self.assertEqual(said, [text])
                    self.assertEqual(len(left), bool(last))

    def test_a_padded_farewell_ends_it(self) -> None:
        for word in (b"quit\0\0", b"quit\n\0\0", b"over\0", b"QUIT\r\n\0\0", b"/quit\0"):
            reader = Reader()
            items = reader.feed(b"hi\n".ljust(64, NUL)) + reader.feed(word) + reader.silence()
            self.assertIsInstance(items[-1], Left, word)

    def test_padded_blocks_are_blocks(self) -> None:
        opener = b"CHAT\r\nclientID: zoe\r\nIP: 10.0.0.9\r\nPort: 3000\r\n\r\n"
        for block in (opener, opener[:-2]):
            reader = Reader(DEFAULTS)
            items = reader.feed(block.ljust(1024, NUL)) + reader.feed(b"hi".ljust(1024, NUL))
            self.assertEqual(items[1:], [PlainMessage("hi")])
            self.assertEqual(getattr(items[0], "client_id", None), "zoe")
