"""Input lines are what their writer sees: no byte order marks, stray returns, NULs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.typed import typed, without_keys


class TypedTests(SynchronousTestCase):
    def test_a_byte_order_mark_hides_no_command(self) -> None:
        self.assertEqual(typed("\ufeff/who"), "/who")
        self.assertEqual(typed("\ufeff\ufeffhello"), "hello")

    def test_invisible_characters_hide_no_command(self) -> None:
        for mark in ("\u200b", "\u200e\ufeff", "\u2060", "\ufe0f", "\u202a", "\x00\ufeff", "\r"):
            self.assertEqual(typed(f"{mark}/quit"), "/quit")

    def test_stray_returns_and_nuls_are_dropped(self) -> None:
        self.assertEqual(typed("/who\r\r"), "/who")
        self.assertEqual(typed("he\rl\0lo\0"), "hello")

    def test_tabs_blanks_and_marks_inside_a_text_stay(self) -> None:
        for text in ("a\tb", " /who", "\u200fx", "a\ufeffb", "\u200bhello"):
            self.assertEqual(typed(text), text)

    def test_keys_of_a_terminal_are_no_text(self) -> None:
        for line in (
            "\x0chello",
            "he\x1b[Allo",
            "hello\x1b[1;5D",
            "\x1bOPhello\x7f",
            "\x01hello\x1b",
        ):
            self.assertEqual(without_keys(line), "hello")
        for line in ("a\tb", "grüße 👍🏽", "[A", "O.K."):
            self.assertEqual(without_keys(line), line)

    @given(st.text(st.sampled_from("\ufeff\u200b\u200f\r\0\t/ aä") | st.characters()))
    def test_twice_is_once_and_a_visible_slash_comes_first(self, line: str) -> None:
        once = typed(line)
        self.assertEqual(typed(once), once)
        self.assertFalse({"\r", "\0"} & set(once))
        self.assertEqual(once.startswith("/"), once.lstrip("\u200b\u200f\ufeff").startswith("/"))
