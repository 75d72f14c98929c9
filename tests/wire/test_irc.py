"""Lines of IRC: what is read, what is written, and that nothing hostile gets through either way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.irc import (
    LINE_BYTES,
    PARAMETERS,
    TAG_BYTES,
    BadIrcLine,
    IrcLine,
    read_line,
    write_line,
)

HOSTILE = st.text(st.characters(codec="utf-8")) | st.text("\0\r\n :@;=\\+\x01a")
NAMES = st.from_regex(r"\+?[a-z0-9-]{1,9}", fullmatch=True)
WORDS = st.from_regex(r"[a-zé#~][a-z:;=\\é]{0,9}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=60)


class IrcLineTests(SynchronousTestCase):
    def read(self, data: bytes) -> IrcLine:
        found = read_line(data)
        assert found is not None
        return found

    def refused(self, data: bytes) -> str:
        wrong: BadIrcLine = self.assertRaises(BadIrcLine, read_line, data)
        return wrong.code

    def test_reads_tags_source_command_and_parameters(self) -> None:
        line = self.read(rb"@label=7;+x=a\sb\:;y :bob!b@c privmsg #tea :hello  there")
        self.assertEqual(dict(line.tags), {"label": "7", "+x": "a b;", "y": ""})
        self.assertEqual(line.source, "bob!b@c")
        self.assertEqual((line.command, line.parameters), ("PRIVMSG", ("#tea", "hello  there")))

    def test_an_empty_last_parameter_is_kept(self) -> None:
        self.assertEqual(self.read(b"TOPIC #tea :").parameters, ("#tea", ""))

    def test_blank_lines_are_nothing(self) -> None:
        self.assertEqual([read_line(b""), read_line(b"   ")], [None, None])

    def test_the_last_of_too_many_parameters_takes_the_rest(self) -> None:
        line = self.read(b"X " + b" ".join(b"%d" % one for one in range(20)))
        self.assertEqual(
            (len(line.parameters), line.parameters[-1]), (PARAMETERS, "14 15 16 17 18 19")
        )

    def test_lines_that_are_too_long_are_refused(self) -> None:
        whole = b"PRIVMSG b :" + b"x" * (LINE_BYTES - 2 - 11)
        self.assertEqual(len(self.read(whole).parameters), 2)
        self.assertEqual(self.refused(whole + b"x"), "INPUT_TOO_LONG")
        tags = b"@a=" + b"x" * (TAG_BYTES - 4)
        self.assertEqual(len(self.read(tags + b" PING").tags["a"]), TAG_BYTES - 4)
        self.assertEqual(self.refused(tags + b"x PING"), "INPUT_TOO_LONG")

    def test_bytes_that_are_not_utf_8_are_refused(self) -> None:
        self.assertEqual(self.refused("PRIVMSG bob :café".encode("latin-1")), "INVALID_UTF8")
        self.assertEqual(self.refused(b"@a=\xe9 PING"), "INVALID_UTF8")

    def test_lines_without_a_command_are_refused(self) -> None:
        for data in (b"@a=b", b":bob", b"!", b"12", b"PR1V x", b"PING\0", b"PING\rQUIT"):
            self.assertEqual(self.refused(data), "INVALID_LINE", data)

    def test_line_ends_inside_a_text_are_written_as_pictures(self) -> None:
        line = IrcLine("PRIVMSG", ("bo b", "a\r\nQUIT\0"), {"t": "1\r\n\0"}, "eve\n")
        self.assertEqual(
            write_line(line),
            "@t=1\\r\\n\u2400 :eve\u240a PRIVMSG bo_b a\u240d\u240aQUIT\u2400\r\n".encode(),
        )

    def test_a_text_that_is_too_long_is_cut_between_characters(self) -> None:
        written = write_line(IrcLine("PRIVMSG", ("bob", "é" * LINE_BYTES)))
        self.assertIn(len(written), (LINE_BYTES - 1, LINE_BYTES))
        self.assertEqual(set(self.read(written[:-2]).parameters[1]), {"é"})

    def test_tags_that_do_not_fit_or_have_no_name_are_left_out(self) -> None:
        fits = {"a b": "1", "c": "x" * (TAG_BYTES - len("@c= "))}
        written = write_line(IrcLine("PING", (), {**fits, "d": ""}))
        self.assertEqual(len(written), TAG_BYTES + len("PING\r\n"))
        self.assertEqual(list(self.read(written[:-2]).tags), ["c"])

    @given(st.binary() | HOSTILE.map(str.encode))
    def test_reading_never_fails_otherwise(self, data: bytes) -> None:
        try:
            read_line(data)
        except BadIrcLine as wrong:
            self.assertTrue(str(wrong))

    @given(
        st.lists(HOSTILE, max_size=5),
        st.dictionaries(HOSTILE | NAMES, HOSTILE, max_size=4),
        HOSTILE,
    )
    def test_one_value_is_always_written_as_one_line_that_can_be_read(
        self, parameters: list[str], tags: dict[str, str], source: str
    ) -> None:
        written = write_line(IrcLine("NOTICE", tuple(parameters), tags, source))
        self.assertTrue(written.endswith(b"\r\n"))
        for byte in (b"\r", b"\n", b"\0"):
            self.assertNotIn(byte, written[:-2])
        self.assertEqual(self.read(written[:-2]).command, "NOTICE")

    @given(st.lists(WORDS, max_size=4), TEXTS, st.dictionaries(NAMES, TEXTS, max_size=4))
    def test_reading_returns_the_value_that_was_written(
        self, firsts: list[str], text: str, tags: dict[str, str]
    ) -> None:
        line = IrcLine("PRIVMSG", (*firsts, text), tags, "bob!bob@chat")
        found = self.read(write_line(line)[:-2])
        self.assertEqual((found.parameters, dict(found.tags)), (line.parameters, tags))
        self.assertEqual((found.command, found.source), (line.command, line.source))
