"""Messages as texts of PRIVMSG: nothing hostile, nothing too long, nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.irc.lines import LEAST, said, texts_of, typed_text
from chatproto.wire.actions import ACTION, marked
from chatproto.wire.irc import LINE_BYTES, IrcLine, read_line, write_line

HOSTILE = st.text(max_size=700) | st.text("\x00\x01\r\n\x1b\x03a é\u202e", max_size=700)


class TextTests(SynchronousTestCase):
    def test_a_line_each(self) -> None:
        self.assertEqual(texts_of("a\n\r\nb\n", 100), ["a", " ", "b"])
        self.assertEqual(texts_of("", 100), [" "])

    def test_an_action_is_one_in_every_line(self) -> None:
        action = marked("waves\nand smiles", ACTION)
        self.assertEqual(
            texts_of(action, 100), ["\x01ACTION waves\x01", "\x01ACTION and smiles\x01"]
        )

    def test_text_that_looks_like_ctcp_is_shown(self) -> None:
        self.assertEqual(texts_of("\x01VERSION\x01", 100), ["␁VERSION␁"])
        self.assertEqual(texts_of("a\x01ACTION b", 100), ["a␁ACTION b"])

    def test_is_cut_at_a_blank_where_one_is_near(self) -> None:
        text = "word " * 30
        parts = texts_of(text, LEAST)
        self.assertTrue(all(part.endswith("word ") for part in parts[:-1]), parts)
        self.assertEqual("".join(parts), text)

    @given(HOSTILE, st.sampled_from(["", ACTION]))
    def test_lines_fit_and_carry_all_of_it(self, text: str, kind: str) -> None:
        lines = said("bob!bob@chat", "PRIVMSG", "#tea", marked(text, kind), {"msgid": "1"})
        for line in lines:
            data = write_line(line)
            self.assertLessEqual(len(data.removeprefix(b"@msgid=1 ")), LINE_BYTES)
            self.assertEqual(data.count(b"\r") + data.count(b"\n"), 2)
            self.assertNotIn(b"\0", data)
            self.assertNotIn(b"\x1b", data)
            read = read_line(data[:-2])
            assert read is not None
            self.assertEqual(read.parameters, line.parameters)
            if not kind:
                self.assertNotIn("\x01", line.parameters[1])
        self.assertEqual([line.tags for line in lines], [{"msgid": "1"}] + [{}] * (len(lines) - 1))

    def test_typed_formats_go_and_ctcp_is_no_text(self) -> None:
        self.assertEqual(typed_text("a\x02b\x0304,12c\x0f"), ("abc", ""))
        self.assertEqual(typed_text("\x01ACTION waves\x01"), ("waves", ACTION))
        self.assertIsNone(typed_text("\x01VERSION\x01"))
        self.assertIsNone(typed_text("\x01DCC SEND x 1 2 3\x01"))

    @given(st.text(max_size=50))
    def test_typed_is_read_back(self, text: str) -> None:
        self.assertIsInstance(write_line(IrcLine("PRIVMSG", ("bob", text))), bytes)
        typed_text(text)
