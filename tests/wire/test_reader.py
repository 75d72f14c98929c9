"""Tests of recognising and reading what peers in plain text say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.dialects import DIALECTS, Dialect, Me
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import DEFAULTS
from chatproto.wire.reader import Item, Left, Opened, Reader, Said

ZOE = Me("zoe", "10.0.0.9", 3000)
FRAMED = [row for row in DIALECTS.values() if not row.bare]
BARE = [row for row in DIALECTS.values() if row.bare and row.name != "lobby"]
TELLING = {"canon", "typeinit", "typelength", "idhdr", "announce"}
"""The rows whose opener has an address."""

QUITS = {"quit", "over", "exit", "bye", "/quit"}

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40
).map(str.strip)
words = texts.filter(lambda text: text and ":" not in text and text.lower() not in QUITS)


def opened(row: Dialect) -> Opened:
    told = row.name in TELLING
    return Opened(
        row,
        "zoe" if row.has_id else None,
        "10.0.0.9" if told else None,
        3000 if told else None,
    )


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def read(reader: Reader, parts: list[bytes]) -> list[Item]:
    return [item for part in parts for item in reader.feed(part)]


class RecognisingTests(SynchronousTestCase):
    @given(
        st.sampled_from(FRAMED), st.lists(words, min_size=1, max_size=4), st.lists(st.integers(0))
    )
    def test_framed_rows_are_the_same_however_they_are_split(
        self, row: Dialect, said: list[str], cuts: list[int]
    ) -> None:
        frames = [row.opener(ZOE), *(row.frame(ZOE, text, b"") for text in said)]
        items = read(Reader(), split(b"".join(frames) + row.farewell(ZOE, "", b""), cuts))
        self.assertEqual(items[0], opened(row))
        self.assertEqual(items[1:-1], [Said(text) for text in said])
        self.assertIsInstance(items[-1], Left)

    @given(st.sampled_from(BARE), st.lists(words, min_size=1, max_size=4), st.lists(st.integers(0)))
    def test_bare_rows_are_ended_by_silence(
        self, row: Dialect, said: list[str], cuts: list[int]
    ) -> None:
        reader = Reader()
        items = read(reader, split(row.opener(ZOE), cuts))
        for text in said:
            items += read(reader, split(row.frame(ZOE, text, row.end), cuts))
            self.assertTrue(reader.wants_silence)
            items += reader.silence()
        self.assertEqual(items, [opened(row), *(Said(text) for text in said)])
        self.assertEqual(reader.line_end, row.end)
        items = reader.feed(row.farewell(ZOE, "", row.end)) + reader.silence()
        self.assertIsInstance(items[-1], Left)

    def test_a_first_message_in_the_openers_segment_is_one(self) -> None:
        for row in DIALECTS.values():
            if row.opening:
                reader = Reader()
                both = row.opener(ZOE) + row.frame(ZOE, "hello", b"")
                items = reader.feed(both) + reader.silence()
                self.assertEqual(items, [opened(row), Said("hello")], row.name)

    def test_headers_come_freely(self) -> None:
        for block in (
            b"CHAT\nclientID:zoe\nIP:10.0.0.9\nPort:3000\n\n",
            b"CHAT\r\nPORT:   3000\r\nip: 10.0.0.9\r\nClientId: zoe\r\n\r\n",
            b"\r\n\nCHAT \r\nclientID: zoe \r\nIP: 10.0.0.9\r\nPort: 3000\r\n\r\n",
        ):
            self.assertEqual(Reader().feed(block), [opened(DIALECTS["canon"])])

    def test_what_only_begins_like_an_opener_is_bare_text(self) -> None:
        for text in ("CHAT about it", "hi", "Q", "ID", "Incoming tide", "x> y", "CHATTER\nmore"):
            reader = Reader()
            self.assertEqual(reader.feed(text.encode()), [])
            self.assertEqual(reader.silence(), [Opened(DIALECTS["raw"]), Said(text)])

    def test_an_opener_typed_slowly_is_waited_for(self) -> None:
        reader = Reader()
        for line in (b"CHAT\r\n", b"clientID: zoe\r\n", b"IP: 10.0.0.9\r\n", b"Port: 3000\r\n"):
            self.assertEqual(reader.feed(line) + reader.silence(), [])
            self.assertFalse(reader.wants_silence)
        self.assertEqual(reader.feed(b"\r\n"), [opened(DIALECTS["canon"])])

    def test_a_block_that_no_row_has_is_shown_as_words(self) -> None:
        items = Reader().feed(b"CHAT\r\nwhat: ever\r\n\r\n")
        self.assertEqual(items, [Opened(DIALECTS["raw"]), Said("CHAT\nwhat: ever")])

    def test_a_farewell_alone_opens_nothing(self) -> None:
        self.assertEqual(Reader().feed(b"QUIT\r\n\r\n"), [Left("QUIT")])

    def test_bare_text_with_crlf_is_the_crlf_row_until_it_is_not(self) -> None:
        reader = Reader()
        reader.feed(b"hello\r\n")
        self.assertEqual(reader.silence(), [Opened(DIALECTS["crlf"]), Said("hello")])
        reader.feed(b"and now")
        self.assertEqual(reader.silence(), [Said("and now")])
        self.assertIs(reader.dialect, DIALECTS["raw"])
        self.assertEqual(reader.line_end, b"")

    def test_an_id_that_is_none_is_not_believed(self) -> None:
        items = Reader().feed(b"CHAT\r\nclientID: a b\r\nIP: x\r\nPort: 99999\r\n\r\n")
        self.assertEqual(items, [Opened(DIALECTS["canon"], None, "x", None)])


class ReadingTests(SynchronousTestCase):
    def called(self, name: str) -> Reader:
        return Reader(DEFAULTS, DIALECTS[name])

    def test_all_three_canonical_farewells_end_it(self) -> None:
        for farewell in (b"QUIT", b"QUIT\r\n\r\n", b"QUIT\r\n\r\n\r\n", b"QUIT\n"):
            reader = self.called("canon")
            self.assertEqual(reader.feed(farewell) + reader.silence(), [Left("QUIT")])

    def test_a_farewell_right_behind_a_message_is_both(self) -> None:
        reader = self.called("canon")
        self.assertEqual(
            reader.feed(b"so long\r\nQUIT\r\n\r\n") + reader.silence(),
            [Said("so long"), Left("QUIT")],
        )

    def test_every_bare_farewell_ends_a_raw_chat(self) -> None:
        for word in ("quit", "over", "exit", "bye", "/quit", "QUIT", "Over\n"):
            reader = self.called("raw")
            self.assertEqual(reader.feed(word.encode()) + reader.silence(), [Left(word.strip())])

    def test_a_message_may_have_several_lines(self) -> None:
        reader = self.called("canon")
        reader.feed(b"one\r\n")
        reader.feed(b"two\r\n")
        self.assertEqual(reader.silence(), [Said("one\r\ntwo")])

    def test_stray_line_ends_are_nothing(self) -> None:
        for name in ("canon", "idonly", "raw"):
            reader = self.called(name)
            self.assertEqual(reader.feed(b"\r\n\n\r\n") + reader.silence(), [])

    def test_a_cut_character_is_waited_for_and_bad_bytes_are_shown(self) -> None:
        reader = self.called("raw")
        reader.feed("grü".encode()[:3])
        reader.feed("grü".encode()[3:] + b"\xff")
        self.assertEqual(reader.silence(), [Said("grü\ufffd")])

    def test_the_end_of_input_ends_message_and_chat(self) -> None:
        reader = self.called("raw")
        reader.feed(b"hi")
        self.assertEqual(reader.end(), [Said("hi"), Left("")])

    def test_one_whom_we_called_may_answer_in_another_frame(self) -> None:
        reader = self.called("canon")
        items = reader.feed(b"CHAT\r\nType: message\r\nMessage: hi\r\n\r\n")
        self.assertEqual(items, [Said("hi")])


class LimitTests(SynchronousTestCase):
    def test_a_long_text_is_split(self) -> None:
        reader = Reader(replace(DEFAULTS, message=10), DIALECTS["raw"])
        items = reader.feed("ééééééé".encode())
        items += reader.silence()
        self.assertEqual(items, [Said("ééééé"), Said("éé")])
        reader = Reader(replace(DEFAULTS, message=9), DIALECTS["raw"])
        self.assertEqual(reader.feed("ééééé".encode()), [Said("éééé")])

    def test_a_block_without_end_is_refused(self) -> None:
        reader = Reader(replace(DEFAULTS, header_block=64))
        reader.feed(b"CHAT\r\n" + b"x" * 57)
        error = self.assertRaises(RemoteError, reader.feed, b"y")
        self.assertEqual(error.status, 413)

    def test_a_counted_message_is_bounded(self) -> None:
        for length in (b"65537", b"9" * 400, b"-1", b"x", b""):
            reader = Reader()
            block = b"CHAT\r\nType: MESSAGE\r\nLength: " + length + b"\r\n\r\n"
            self.assertRaises(RemoteError, reader.feed, block)

    @given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from([None, *DIALECTS]))
    def test_nothing_raises_anything_else_or_is_kept_past_a_limit(
        self, parts: list[bytes], name: str | None
    ) -> None:
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
    def test_no_mixture_of_frames_confuses_it(self, parts: list[bytes]) -> None:
        reader = Reader()
        try:
            items = [item for part in parts for item in reader.feed(part)] + reader.end()
        except RemoteError:
            return
        self.assertLessEqual(sum(isinstance(item, Opened) for item in items), 1)
        if any(isinstance(item, Said) for item in items):
            self.assertIsInstance(next(i for i in items if not isinstance(i, Left)), Opened)
