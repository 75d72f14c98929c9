"""Rows never exceed the terminal, lose nothing, and show no control character."""

from __future__ import annotations

import re
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.printable import printable
from chatproto.ui.legible import split
from chatproto.ui.screen.cells import cut, pad, width, wrap
from chatproto.ui.screen.glyphs import ASCII, UNICODE, encoding_for, glyphs_for
from chatproto.ui.screen.rows import label, plain_rows, rows, rule
from chatproto.ui.screen.status import cut_line, status_line
from chatproto.ui.screen.styles import Line, person_style

TEXT = st.text(max_size=200)
PRINTABLE = TEXT.map(lambda text: " ".join(split(text)))
WIDE = "日本語 と 絵文字 🍵🍵 e\u0301tude مرحبا"


def plain(line: Line) -> str:
    return "".join(text for _, text in line)


def texts(lines: list[Line]) -> list[str]:
    return [plain(line) for line in lines]


class CellTests(SynchronousTestCase):
    """Text measured in columns."""

    def test_wide_characters_take_two_columns_and_marks_none(self) -> None:
        self.assertEqual(width("日本"), 4)
        self.assertEqual(width("e\u0301"), 1)
        self.assertEqual(width("🔒"), 2)

    def test_cut_text_ends_with_a_sign(self) -> None:
        self.assertEqual(cut("abcdef", 4), "abc…")
        self.assertEqual(cut("日本語", 4), "日…")
        self.assertEqual(cut("abc", 3), "abc")
        self.assertEqual(cut("abc", 0), "")

    def test_padded_text_has_its_columns(self) -> None:
        self.assertEqual(width(pad("日", 5)), 5)

    def test_text_is_split_between_words(self) -> None:
        self.assertEqual(wrap("one two three", 8), ["one two", "three"])
        self.assertEqual(wrap("  indented line", 10), ["  indented", "line"])

    def test_word_longer_than_a_row_is_split_inside(self) -> None:
        self.assertEqual(wrap("abcdefgh", 3), ["abc", "def", "gh"])

    @given(PRINTABLE, st.integers(2, 60))
    def test_wrapped_rows_fit_and_keep_every_word(self, text: str, columns: int) -> None:
        lines = wrap(text, columns)
        self.assertTrue(all(width(line) <= columns for line in lines), lines)
        self.assertEqual(re.sub(" ", "", "".join(lines)), re.sub(" ", "", text))

    @given(PRINTABLE, st.integers(0, 40))
    def test_cut_text_fits(self, text: str, columns: int) -> None:
        self.assertLessEqual(width(cut(text, columns)), columns)


class RowTests(SynchronousTestCase):
    """Entries of the scrollback."""

    def test_entry_has_time_name_and_indented_continuation(self) -> None:
        found = rows("17:28", (("", "bob"),), ["one two three four five six"], 40, UNICODE)
        self.assertEqual(
            [plain(line) for line in found],
            ["17:28 bob      one two three four five", "               six"],
        )

    def test_further_lines_begin_with_a_bar(self) -> None:
        found = rows("17:28", (("", "bob"),), ["look:", "17:28 eve  I am eve"], 80, UNICODE)
        self.assertEqual(plain(found[1]), " " * 19 + "┊ 17:28 eve  I am eve")

    def test_every_row_of_a_wrapped_further_line_begins_with_a_bar(self) -> None:
        found = rows("17:28", (("", "bob"),), ["look:", "word " * 20], 40, ASCII)
        self.assertGreater(len(found), 3)
        for line in found[1:]:
            self.assertTrue(plain(line).lstrip().startswith(": word"), line)

    def test_key_that_the_wrap_would_break_stands_alone(self) -> None:
        key = "sha256:" + "ABCDEFGHIJKLM" * 4
        line = f"its key is now pinned: {key} (see /verify)"
        for columns, expected in {
            100: [
                "17:28 --               its key is now pinned:",
                " " * 23 + f"{key} (see /verify)",
            ],
            70: ["17:28 --           its key is now pinned:", key, " " * 19 + "(see /verify)"],
            40: ["17:28 -- its key is now pinned:", key[:40], key[40:], " " * 9 + "(see /verify)"],
        }.items():
            found = rows("17:28", (("", "--"),), [line], columns, UNICODE, ours=True)
            self.assertEqual([plain(one) for one in found], expected)
        # A peer's text is indented, whatever is in it.
        told = rows("17:28", (("", "bob"),), ["x", key], 40, UNICODE)
        self.assertTrue(all("┊" in plain(one) for one in told[1:]))

    def test_key_in_an_answer_stands_alone_where_it_does_not_fit(self) -> None:
        key = "sha256:" + "A" * 52
        for columns, expected in {
            80: [f"  bob   {key}"],
            62: ["  bob", key],
            40: ["  bob", key[:40], key[40:]],
        }.items():
            self.assertEqual(
                [plain(one) for one in plain_rows([f"bob   {key}"], columns)], expected
            )

    def test_groups_of_a_safety_number_never_break(self) -> None:
        number = " ".join(["12345"] * 12)
        for columns in range(10, 90):
            for one in plain_rows([number], columns):
                self.assertEqual(set(plain(one).split()), {"12345"}, columns)

    def test_mark_stands_behind_the_text_or_below_it(self) -> None:
        who = (("", "you"),)
        short = rows("17:28", who, ["hi"], 40, UNICODE, mark=("good", "✓"))
        self.assertEqual([plain(line) for line in short], ["17:28 you      hi ✓"])
        full = rows("17:28", who, ["x" * 25], 40, UNICODE, mark=("good", "✓"))
        self.assertEqual(plain(full[1]), " " * 15 + "✓")

    @given(
        st.lists(TEXT, min_size=1, max_size=4).map("\n".join),
        PRINTABLE,
        st.integers(40, 130),
        st.sampled_from(["17:28", "", "05:28:59 pm"]),
    )
    def test_rows_fit_from_40_columns(self, text: str, name: str, columns: int, time: str) -> None:
        who = label([("", "#" + name), ("", name)], UNICODE)
        for line in rows(time, who, split(text), columns, UNICODE, mark=("bad", "not delivered")):
            self.assertLessEqual(width(plain(line)), columns)
            self.assertEqual(printable(plain(line)), plain(line))

    def test_long_name_on_a_narrow_terminal_has_a_row_of_its_own(self) -> None:
        who = label([("", "#" + "x" * 14), ("", "y" * 14)], UNICODE)
        found = [plain(line) for line in rows("05:28:59 pm", who, ["hi"], 40, UNICODE)]
        self.assertEqual(found[0], "05:28:59 pm #xxxxxxxxxxxxxx yyyyyyyyyyy…")
        self.assertEqual(found[1].strip(), "hi")

    def test_wide_text_fits(self) -> None:
        for columns in (40, 80, 120):
            for line in rows("17:28", (("", "日本語"),), [WIDE * 5], columns, UNICODE):
                self.assertLessEqual(width(plain(line)), columns)

    def test_answer_of_a_command_stays_as_it_is_where_it_fits(self) -> None:
        self.assertEqual([plain(one) for one in plain_rows(["/help  more"], 40)], ["  /help  more"])
        self.assertEqual(len(plain_rows(["word " * 20], 40)), 3)

    def test_second_column_of_an_answer_is_wrapped_in_itself(self) -> None:
        line = "/switch id|#room  send what you type to another conversation or room"
        self.assertEqual(texts(plain_rows([line], 80)), [f"  {line}"])
        self.assertEqual(
            texts(plain_rows([line], 40)),
            [
                "  /switch id|#room  send what you type",
                "                    to another",
                "                    conversation or room",
            ],
        )
        long = "/chat [--as DIALECT] [id | host:port]  call a peer"
        self.assertEqual(
            texts(plain_rows([long], 40)),
            ["  /chat [--as DIALECT] [id | host:port]", "    call a peer"],
        )

    @given(st.text(st.sampled_from("ab  漢/"), max_size=60), st.integers(20, 60))
    def test_answers_fit_and_keep_every_word(self, line: str, columns: int) -> None:
        found = texts(plain_rows([line], columns))
        self.assertTrue(all(width(row) <= columns for row in found), found)
        self.assertEqual("".join(found).replace(" ", ""), line.replace(" ", ""))

    def test_rule_fits(self) -> None:
        self.assertLessEqual(width(plain(rule("x" * 200, 40, UNICODE))), 40)


class StatusTests(SynchronousTestCase):
    """The status line, cut from the right."""

    def test_target_stays_when_the_line_is_cut(self) -> None:
        parts: list[Line] = [(("", "bob verified"),), (("", "[2:#tea 4]"),), (("", "files"),)]
        self.assertEqual(
            plain(status_line(parts, 80, UNICODE)), "── bob verified │ [2:#tea 4] │ files ──"
        )
        self.assertEqual(plain(status_line(parts, 20, UNICODE)), "── bob verified │ […")

    @given(st.lists(PRINTABLE, max_size=5), st.integers(1, 80))
    def test_status_line_fits(self, texts: list[str], columns: int) -> None:
        line = cut_line(tuple(("", text) for text in texts), columns, UNICODE)
        self.assertLessEqual(width(plain(line)), columns)


class GlyphTests(SynchronousTestCase):
    """Plain signs where the terminal has no UTF-8."""

    def test_locale_decides(self) -> None:
        for name, wanted in (
            ("C", ASCII),
            ("POSIX", ASCII),
            ("de_DE.ISO-8859-1", ASCII),
            ("de_DE.UTF-8", UNICODE),
            ("C.utf8", UNICODE),
            ("", UNICODE),
        ):
            self.assertIs(glyphs_for({"LANG": name}), wanted, name)
        self.assertIs(glyphs_for({"LANG": "C", "LC_CTYPE": "C.UTF-8"}), ASCII)
        self.assertIs(glyphs_for({"LANG": "C", "LC_ALL": "C.UTF-8"}), UNICODE)

    def test_terminal_with_another_character_set_gets_no_utf8(self) -> None:
        for name, wanted in (
            ("de_DE.UTF-8", "utf-8"),
            ("C", "ascii"),
            ("", "utf-8"),
            ("de_DE.ISO-8859-1", "iso8859-1"),
            ("de_DE.iso885915@euro", "iso8859-15"),
            ("xx.nonsense", "ascii"),
        ):
            self.assertEqual(encoding_for({"LANG": name}), wanted, name)

    def test_ascii_signs_are_ascii(self) -> None:
        for name in (field.name for field in fields(ASCII)):
            self.assertTrue(getattr(ASCII, name).isascii())


class NameColourTests(SynchronousTestCase):
    """Colours of people."""

    def test_colour_of_a_name_is_always_the_same(self) -> None:
        self.assertEqual(person_style("alice"), "person.11")
        self.assertEqual(person_style("Alice"), person_style("alice"))
