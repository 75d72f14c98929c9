"""Tests of recognising and reading what peers in plain text say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.dialects import DIALECTS, Dialect, Me
from chatproto.wire.errors import RemoteError
from chatproto.wire.reader import DialectKnown, Item, Left, PlainMessage, Reader
from tests.limits import DEFAULTS

ZOE = Me("zoe", "10.0.0.9", 3000)
FRAMED = [row for row in DIALECTS.values() if not row.bare]
BARE = [row for row in DIALECTS.values() if row.bare and row.name != "lobby"]
TELLING = {"canon", "typeinit", "typelength", "idhdr", "announce"}
"""The rows whose opener has an address."""

QUITS = {"quit", "over", "exit", "bye", "/quit"}

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40
).map(str.strip)
framed = texts.filter(lambda text: text and "/quit" not in text)
words = texts.filter(lambda text: text and ":" not in text and text.lower() not in QUITS)


def opened(row: Dialect) -> DialectKnown:
    told = row.name in TELLING
    return DialectKnown(
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
        st.sampled_from(FRAMED), st.lists(framed, min_size=1, max_size=4), st.lists(st.integers(0))
    )
    def test_framed_rows_are_the_same_however_they_are_split(
        self, row: Dialect, said: list[str], cuts: list[int]
    ) -> None:
        frames = [row.opener(ZOE), *(row.frame(ZOE, text, b"") for text in said)]
        items = read(Reader(), split(b"".join(frames) + row.farewell(ZOE, "", b""), cuts))
        self.assertEqual(items[0], opened(row))
        self.assertEqual(items[1:-1], [PlainMessage(text) for text in said])
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
        self.assertEqual(items, [opened(row), *(PlainMessage(text) for text in said)])
        self.assertEqual(reader.line_end, row.end)
        items = reader.feed(row.farewell(ZOE, "", row.end)) + reader.silence()
        self.assertIsInstance(items[-1], Left)

    def test_an_opener_with_an_address_needs_no_blank_line(self) -> None:
        for name in ("canon", "typeinit", "idhdr"):
            row = DIALECTS[name]
            for end in (b"\r\n", b"\n"):
                reader = Reader()
                opener = row.opener(ZOE).replace(b"\r\n", end)
                self.assertEqual(reader.feed(opener[: -len(end)]), [])
                self.assertTrue(reader.wants_silence)
                self.assertEqual(reader.silence(), [opened(row)])
                said = read(reader, [end, row.frame(ZOE, "hello", row.end)])
                self.assertEqual(said + reader.silence(), [PlainMessage("hello")])

    def test_half_an_opener_needs_more_than_silence(self) -> None:
        opener = DIALECTS["canon"].opener(ZOE)
        for part in (opener[:-4], opener[:-5], opener[: opener.index(b"Port")]):
            reader = Reader()
            self.assertEqual(reader.feed(part), [])
            self.assertFalse(reader.wants_silence, part)
            self.assertEqual(read(reader, [opener[len(part) :]]), [opened(DIALECTS["canon"])])

    def test_a_byte_order_mark_before_the_opener_is_nothing(self) -> None:
        for row in DIALECTS.values():
            if row.opening:
                reader = Reader()
                items = read(reader, [b"\xef", b"\xbb", b"\xbf", row.opener(ZOE)])
                self.assertEqual(items, [opened(row)])
        reader = Reader()
        reader.feed(b"\xef\xbb\xbfhello\r\n")
        self.assertEqual(reader.silence()[-1], PlainMessage("hello"))

    def test_a_first_message_in_the_openers_segment_is_one(self) -> None:
        for row in DIALECTS.values():
            if row.opening:
                reader = Reader()
                both = row.opener(ZOE) + row.frame(ZOE, "hello", b"")
                items = reader.feed(both) + reader.silence()
                self.assertEqual(items, [opened(row), PlainMessage("hello")], row.name)

    def test_headers_may_vary(self) -> None:
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
            self.assertEqual(reader.silence(), [DialectKnown(DIALECTS["raw"]), PlainMessage(text)])

    def test_an_opener_typed_slowly_is_waited_for(self) -> None:
        reader = Reader()
        for line in (b"CHAT\r\n", b"clientID: zoe\r\n", b"IP: 10.0.0.9\r\n", b"Port: 3000"):
            self.assertEqual(reader.feed(line) + reader.silence(), [])
            self.assertFalse(reader.wants_silence)
        self.assertEqual(reader.feed(b"\r\n"), [])
        self.assertEqual(reader.silence(), [opened(DIALECTS["canon"])])
        self.assertEqual(reader.feed(b"\r\n") + reader.silence(), [])

    def test_reader_waits_only_for_a_possible_opener(self) -> None:
        for text in ("ID: 5\nhow are you", "CHAT\nhello there", "CHAT\nTypewriter", "CHAT \nx:"):
            reader = Reader()
            self.assertEqual(reader.feed(text.encode()), [])
            self.assertTrue(reader.wants_silence, text)
            self.assertEqual(reader.silence(), [DialectKnown(DIALECTS["raw"]), PlainMessage(text)])
        for start in ("ID: 5\n", "CHAT\n", "CHAT\r\nTy", "CHATREQ\n client", "CHAT\nPORT:"):
            reader = Reader()
            self.assertEqual(reader.feed(start.encode()) + reader.silence(), [], start)
            self.assertEqual(reader.end()[-1], Left(""))

    def test_an_announcement_may_lack_its_line_end(self) -> None:
        reader = Reader()
        self.assertEqual(reader.feed(DIALECTS["announce"].opener(ZOE)[:-1]), [])
        self.assertEqual(reader.silence(), [opened(DIALECTS["announce"])])

    def test_opener_may_announce_any_address(self) -> None:
        for line, client_id, host, port in (
            (b"\xff 10.0.0.9:3000\n", None, "10.0.0.9", 3000),
            (b"zoe ::1:3000\r\n", "zoe", "::1", 3000),
            (b"zoe [::1]:99999\n", "zoe", "::1", None),
        ):
            reader = Reader()
            items = reader.feed(b"Incoming chat request from " + line + b"hello")
            opener = DialectKnown(DIALECTS["announce"], client_id, host, port)
            self.assertEqual(items + reader.silence(), [opener, PlainMessage("hello")])

    def test_an_opener_at_the_end_of_input_needs_no_blank_line(self) -> None:
        reader = Reader()
        reader.feed(DIALECTS["canon"].opener(ZOE)[:-4])
        self.assertEqual(reader.end(), [opened(DIALECTS["canon"]), Left("")])

    def test_a_host_that_is_none_is_not_believed(self) -> None:
        for host in (b"\x1b[2J", b"a host", b"", b"x" * 256):
            block = b"CHAT\r\nclientID: zoe\r\nIP: " + host + b"\r\nPort: 3000\r\n\r\n"
            self.assertEqual(
                Reader().feed(block), [DialectKnown(DIALECTS["canon"], "zoe", None, 3000)]
            )

    def test_unknown_block_is_shown_as_text(self) -> None:
        for block, row in (
            (b"CHAT\nwhat: ever\n\n", "raw"),
            (b"CHAT\n\n", "raw"),
            (b"CHAT\r\nIP: 1\r\n\r\n", "raw"),
            (b"CHAT\r\nType: odd\r\n\r\n", "raw"),
            (b"CHAT\r\nType: message\r\n\r\n", "raw"),
        ):
            reader = Reader()
            items = reader.feed(block) + reader.silence()
            text = block.decode().replace("\r\n", "\n").strip()
            self.assertEqual(items, [DialectKnown(DIALECTS[row]), PlainMessage(text)], block)

    def test_a_farewell_alone_opens_nothing(self) -> None:
        self.assertEqual(Reader().feed(b"QUIT\r\n\r\n"), [Left("QUIT")])

    def test_bare_text_with_crlf_is_the_crlf_row_until_it_is_not(self) -> None:
        reader = Reader()
        reader.feed(b"hello\r\n")
        self.assertEqual(reader.silence(), [DialectKnown(DIALECTS["crlf"]), PlainMessage("hello")])
        reader.feed(b"and now")
        self.assertEqual(reader.silence(), [PlainMessage("and now")])
        self.assertIs(reader.dialect, DIALECTS["raw"])
        self.assertEqual(reader.line_end, b"")

    def test_an_id_that_is_none_is_not_believed(self) -> None:
        items = Reader().feed(b"CHAT\r\nclientID: a b\r\nIP: x\r\nPort: 99999\r\n\r\n")
        self.assertEqual(items, [DialectKnown(DIALECTS["canon"], None, "x", None)])


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
            [PlainMessage("so long"), Left("QUIT")],
        )

    def test_every_bare_farewell_ends_a_raw_chat(self) -> None:
        for word in ("quit", "over", "exit", "bye", "/quit", "QUIT", "Over\n"):
            reader = self.called("raw")
            self.assertEqual(reader.feed(word.encode()) + reader.silence(), [Left(word.strip())])

    def test_a_farewell_may_be_glued_to_a_text_without_line_end(self) -> None:
        for end in (b"\r\n\r\n", b"\r\n\r\n\r\n", b"\n\n"):
            reader = self.called("canon")
            items = reader.feed(b"so longQUIT" + end) + reader.silence()
            self.assertEqual(items, [PlainMessage("so long"), Left("QUIT")])
        for text in ("I QUIT", "I QUIT\r\n"):
            reader = self.called("canon")
            items = reader.feed(text.encode()) + reader.silence()
            self.assertEqual(items, [PlainMessage(text.strip())])

    def test_a_command_is_a_farewell_as_a_last_line_and_a_word_is_not(self) -> None:
        for name, data, items in (
            ("crlf", b"hi\r\n/quit\r\n", [PlainMessage("hi"), Left("/quit")]),
            ("chatreq", b"hi\n/quit\n", [PlainMessage("hi"), Left("/quit")]),
            ("raw", b"it is\nover\n", [PlainMessage("it is\nover")]),
            ("raw", b"say/quit", [PlainMessage("say/quit")]),
        ):
            reader = self.called(name)
            self.assertEqual(reader.feed(data) + reader.silence(), items)

    def test_nothing_follows_a_farewell(self) -> None:
        reader = self.called("canon")
        self.assertEqual(reader.feed(b"QUIT\r\n\r\nmore"), [Left("QUIT")])
        self.assertEqual((reader.feed(b"more"), reader.wants_silence), ([], False))
        self.assertEqual((reader.silence(), reader.end()), ([], []))

    def test_a_line_that_looks_like_a_blocks_first_is_shown_in_a_bare_chat(self) -> None:
        for name in ("canon", "chatreq", "announce", "raw", "crlf"):
            for text in ("ID: 42", "CHAT", "CHAT\r\nis it", "QUITE", "CHATREQ"):
                reader = self.called(name)
                items = reader.feed(text.encode() + b"\r\n") + reader.silence()
                self.assertEqual(items, [PlainMessage(text)], name)

    def test_lobby_lines_are_always_text(self) -> None:
        for text in ("QUIT", "quit", "/quit", "hi\nQUIT", "ID: 5", "CHAT\nType: quit"):
            reader = self.called("lobby")
            items = reader.feed(text.encode() + b"\n\n") + reader.silence()
            self.assertEqual(items, [PlainMessage(text)])

    def test_framed_text_is_never_parsed(self) -> None:
        for text in ("content: x", "Type: quit", "clientID: y", "IP: 1", "text: x", "CHAT"):
            for row in FRAMED:
                reader = self.called(row.name)
                self.assertEqual(
                    reader.feed(row.frame(ZOE, text, b"")), [PlainMessage(text)], row.name
                )

    def test_a_framed_text_may_have_several_lines(self) -> None:
        for name, frame in (
            ("chatmsg", b"CHAT\r\nMESSAGE:one\ntwo\r\n\r\n"),
            ("typeinit", b"CHAT\r\nType: message\r\nMessage: one\r\ntwo\r\n\r\n"),
            ("idhdr", b"CHAT\r\ntext: one\ntwo\r\nid: x\r\nIP: y\r\nport: 1\r\n\r\n"),
            ("dialback", b"CHAT\r\nclientID: x\r\ncontent: one\ntwo\r\n\r\n"),
            ("idonly", b"CHAT\r\nclientID: x\r\none\r\ntwo\n\r\n\r\n"),
            ("typelength", b"CHAT\r\nType: MESSAGE\r\nLength: 7\r\n\r\none\ntwo\r\n"),
        ):
            self.assertEqual(self.called(name).feed(frame), [PlainMessage("one\ntwo")], name)

    def test_a_frame_that_pauses_in_its_first_word_is_waited_for(self) -> None:
        row = DIALECTS["typeinit"]
        for cut in range(1, 12):
            reader = self.called("typeinit")
            frame = row.frame(ZOE, "hi", b"")
            items = reader.feed(frame[:cut]) + reader.silence() + reader.feed(frame[cut:])
            self.assertEqual(items, [PlainMessage("hi")], cut)

    def test_a_prefixed_text_may_lack_its_end(self) -> None:
        for data, items in (
            (b"zoe> hi", [PlainMessage("hi")]),
            (b"zoe> hi\n", [PlainMessage("hi")]),
            (b"zoe> /quit", [Left("/quit")]),
            (b"no prefix", [PlainMessage("no prefix")]),
        ):
            reader = self.called("prefixed")
            self.assertEqual(reader.feed(data) + reader.silence(), items)

    @given(
        st.lists(texts.filter(bool), min_size=1, max_size=4),
        st.sampled_from(("bytes", "characters", "utf-16", "with its line end")),
        st.lists(st.integers(0)),
    )
    def test_a_length_may_count_anything(
        self, said: list[str], counts: str, cuts: list[int]
    ) -> None:
        frames = b""
        for text in said:
            length = {
                "bytes": len(text.encode()),
                "characters": len(text),
                "utf-16": len(text.encode("utf-16-le")) // 2,
                "with its line end": len(text.encode()) + 2,
            }[counts]
            head = f"CHAT\r\nType: MESSAGE\r\nLength: {length}\r\n\r\n"
            frames += head.encode() + text.encode() + b"\r\n"
        items = read(self.called("typelength"), split(frames, cuts))
        self.assertEqual(items, [PlainMessage(text) for text in said])

    def test_a_counted_text_may_lack_its_line_end(self) -> None:
        frame = b"CHAT\r\nType: MESSAGE\r\nLength: 2\r\n\r\nhi"
        reader = self.called("typelength")
        self.assertEqual(reader.feed(frame + frame), [PlainMessage("hi")])
        self.assertTrue(reader.wants_silence)
        self.assertEqual(reader.silence(), [PlainMessage("hi")])

    def test_silence_does_not_cut_a_character_of_a_counted_text(self) -> None:
        reader = self.called("typelength")
        frame = "CHAT\r\nType: MESSAGE\r\nLength: 2\r\n\r\nHä\r\n".encode()
        self.assertEqual(reader.feed(frame[:-3]) + reader.silence(), [])
        self.assertEqual(reader.feed(frame[-3:]), [PlainMessage("Hä")])

    def test_a_counted_text_without_an_end_is_refused(self) -> None:
        reader = Reader(replace(DEFAULTS, message=100), DIALECTS["typelength"])
        reader.feed(b"CHAT\r\nType: MESSAGE\r\nLength: 1\r\n\r\n" + b"x" * 50)
        with self.assertRaises(RemoteError):
            reader.feed(b"x" * 60)

    def test_first_frame_of_a_callee_sets_the_dialect(self) -> None:
        for row in FRAMED:
            for name in ("canon", "raw", "chatreq", "announce"):
                reader = self.called(name)
                items = reader.feed(row.frame(ZOE, "hi", b"")) + reader.silence()
                self.assertEqual(items, [PlainMessage("hi")], (row.name, name))
                self.assertEqual(reader.dialect, row, name)

    def test_a_prefix_is_taken_off_only_if_the_first_text_has_it(self) -> None:
        reader = self.called("canon")
        self.assertEqual(reader.feed(b"hello\n") + reader.silence(), [PlainMessage("hello")])
        items = reader.feed(b"zoe> hi\n\n") + reader.silence()
        self.assertEqual(items, [PlainMessage("zoe> hi")])
        self.assertIs(reader.dialect, DIALECTS["canon"])

    def test_a_counted_length_may_count_the_line_end(self) -> None:
        reader = self.called("typelength")
        frame = b"CHAT\r\nType: MESSAGE\r\nLength: 4\r\n\r\nhi\r\n"
        self.assertEqual(reader.feed(frame + frame), [PlainMessage("hi"), PlainMessage("hi")])

    def test_cut_frame_is_read_as_far_as_received(self) -> None:
        for data, items in (
            (b"CHAT\r\nType: MESSAGE\r\nLength: 9\r\n\r\nhi", [PlainMessage("hi"), Left("")]),
            (b"CHAT\r\nType: MESSAGE\r\nLength: 9\r\n\r\n", [Left("")]),
            (b"CHAT\r\nType: message\r\nMessage: hi\r\n", [PlainMessage("hi"), Left("")]),
            (b"CHAT\r\nType: quit\r\n", [Left("quit")]),
            (b"QUIT", [Left("QUIT")]),
        ):
            for name in ("typelength", "canon"):
                reader = self.called(name)
                self.assertEqual(reader.feed(data) + reader.end(), items)
        reader = Reader()
        reader.feed(b"CHAT\r\nType: MESSAGE\r\nLength: 9\r\n\r\nhi")
        self.assertEqual(
            reader.end(), [DialectKnown(DIALECTS["typelength"]), PlainMessage("hi"), Left("")]
        )

    def test_a_message_may_have_several_lines(self) -> None:
        reader = self.called("canon")
        reader.feed(b"one\r\n")
        reader.feed(b"two\r\n")
        self.assertEqual(reader.silence(), [PlainMessage("one\r\ntwo")])

    def test_stray_line_ends_are_nothing(self) -> None:
        for name in ("canon", "idonly", "raw"):
            reader = self.called(name)
            self.assertEqual(reader.feed(b"\r\n\n\r\n") + reader.silence(), [])

    def test_a_cut_character_is_waited_for_and_bad_bytes_are_shown(self) -> None:
        reader = self.called("raw")
        reader.feed("grü".encode()[:3])
        reader.feed("grü".encode()[3:] + b"\xff")
        self.assertEqual(reader.silence(), [PlainMessage("grü\ufffd")])

    def test_the_end_of_input_ends_message_and_chat(self) -> None:
        reader = self.called("raw")
        reader.feed(b"hi")
        self.assertEqual(reader.end(), [PlainMessage("hi"), Left("")])

    def test_callee_may_answer_in_another_frame(self) -> None:
        reader = self.called("canon")
        items = reader.feed(b"CHAT\r\nType: message\r\nMessage: hi\r\n\r\n")
        self.assertEqual(items, [PlainMessage("hi")])
