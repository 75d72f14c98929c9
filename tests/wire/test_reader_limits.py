"""Tests of what a peer in plain text may not do to its reader."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.dialects import DIALECTS
from chatproto.wire.errors import RemoteError
from chatproto.wire.reader import DialectKnown, Left, PlainMessage, Reader
from tests.limits import DEFAULTS


class LimitTests(SynchronousTestCase):
    def test_a_long_text_is_split(self) -> None:
        reader = Reader(replace(DEFAULTS, message=10), DIALECTS["raw"])
        items = reader.feed("ééééééé".encode())
        items += reader.silence()
        self.assertEqual(items, [PlainMessage("ééééé"), PlainMessage("éé")])
        reader = Reader(replace(DEFAULTS, message=9), DIALECTS["raw"])
        self.assertEqual(reader.feed("ééééé".encode()), [PlainMessage("éééé")])

    def test_a_block_without_end_is_refused(self) -> None:
        reader = Reader(replace(DEFAULTS, header_block=64))
        reader.feed(b"CHAT\r\nType: " + b"x" * 51)
        error = self.assertRaises(RemoteError, reader.feed, b"y")
        self.assertEqual(error.status, 413)

    def test_a_counted_message_is_bounded(self) -> None:
        for length in (b"65537", b"9" * 400, b"-1", b"x", b""):
            reader = Reader()
            block = b"CHAT\r\nType: MESSAGE\r\nLength: " + length + b"\r\n\r\n"
            self.assertRaises(RemoteError, reader.feed, block)

    def test_no_stranger_buys_much_time_with_few_bytes(self) -> None:
        # Each of these took minutes once, by an expression that tried every way to divide the blanks.
        for head in (b"ID:", b"ID", b"CHAT", b"CHAT\n", b"x> ", b"Incoming chat request from "):
            for blank in (b" ", b"\t", b": "):
                reader = Reader()
                reader.feed(head + blank * 30_000)
                reader.feed(blank)
                self.assertTrue(reader.end())

    @given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from([None, *DIALECTS]))
    def test_any_input_respects_the_limits(self, parts: list[bytes], name: str | None) -> None:
        limits = replace(DEFAULTS, message=256, header_block=256)
        reader = Reader(limits, DIALECTS[name] if name else None)
        try:
            for part in parts:
                reader.feed(part)
                self.assertLessEqual(len(reader._rest), 512)
            reader.silence()
            reader.end()
        except RemoteError:
            pass

    @given(st.lists(st.sampled_from([b"CHAT\r\n", b"QUIT", b"\n", b"\r\n", b"ID: x", b"clientID: a",
                                     b"Type: MESSAGE\r\nLength: 3\r\n", b"abc", b"> ", b"\n\n"]),
                    max_size=25))  # fmt: skip
    def test_any_mixture_of_frames_is_read(self, parts: list[bytes]) -> None:
        reader = Reader()
        try:
            items = [item for part in parts for item in reader.feed(part)] + reader.end()
        except RemoteError:
            return
        self.assertLessEqual(sum(isinstance(item, DialectKnown) for item in items), 1)
        self.assertEqual([isinstance(item, Left) for item in items].index(True), len(items) - 1)
        if len(items) > 1:
            self.assertIsInstance(items[0], DialectKnown)
