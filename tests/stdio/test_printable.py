from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.printable import printable

HARMFUL = st.sampled_from(
    "\x1b\x07\x08\r\n\t\x00\x7f\x9b\x85\u200b\u200d\u202e\u2066\u2069\u2028\ufe0f\ufeff\u00ad"
    "\U0001f468\U0001f469\U0001f3fb1\u20e3\u2764\U0001f3f4\U000e0067\U000e007fa\ud800"
)
STRANGE = st.text(HARMFUL) | st.text()


class PrintableTests(SynchronousTestCase):
    def test_an_escape_sequence_is_shown(self) -> None:
        self.assertEqual(printable("\x1b]52;c;aGk=\x07"), "\u241b]52;c;aGk=\u2407")

    def test_return_backspace_and_delete_are_shown(self) -> None:
        self.assertEqual(printable("b\rc\bd\x7f"), "b\u240dc\u2408d\u2421")

    def test_a_tab_is_as_wide_as_a_tab(self) -> None:
        self.assertEqual(printable("a\tb\t\tc"), "a       b               c")
        self.assertEqual(printable("\tx\n1234567\ty", lines=True), "        x\n1234567 y")

    def test_a_one_byte_csi_is_shown(self) -> None:
        self.assertEqual(printable("\x9b2J"), "\ufffd2J")

    def test_text_cannot_be_turned_around(self) -> None:
        for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C]:
            self.assertEqual(printable(f"a{chr(code)}b"), "a\ufffdb")

    def test_zero_width_characters_go(self) -> None:
        self.assertEqual(printable("pay\u200bpal\ufeff\u2060\u00ad\u200c\u200d!"), "paypal!")

    def test_variation_selectors_and_tags_are_shown(self) -> None:
        self.assertEqual(printable("a\ufe01\U000e0101\U000e0041b"), "ab")
        self.assertEqual(printable("\u2764\ufe0f\ufe0f\ufe0f"), "\u2764\ufe0f")

    def test_an_emoji_stays_whole(self) -> None:
        for emoji in (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\u2764\ufe0f\u200d\U0001f525",
            "\U0001f44d\U0001f3fd",
            "1\ufe0f\u20e3",
            "\U0001f1e9\U0001f1ea",
            "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        ):
            self.assertEqual(printable(f"a{emoji}b"), f"a{emoji}b")

    def test_a_joiner_without_two_emoji_goes(self) -> None:
        self.assertEqual(printable("\U0001f468\u200dx\u200d\U0001f469"), "\U0001f468x\U0001f469")

    def test_lone_surrogates_can_be_encoded_afterwards(self) -> None:
        self.assertEqual(printable("a\ud800b"), "a\ufffdb")

    def test_separators_begin_no_line(self) -> None:
        self.assertEqual(printable("a\u2028b\u2029c"), "a\u2424b\u2424c")

    def test_a_line_end_is_shown_unless_lines_are_kept(self) -> None:
        self.assertEqual(printable("a\nb"), "a\u240ab")
        self.assertEqual(printable("a\n\x1bb\r\n", lines=True), "a\n\u241bb\u240d\n")

    def test_other_scripts_are_unchanged(self) -> None:
        for text in ("Grüße, naïve façade", "日本語のテキスト", "שלום", "مرحبا", "नमस्ते", "e\u0301"):
            self.assertEqual(printable(text), text)

    @given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
    def test_plain_ascii_is_unchanged(self, text: str) -> None:
        self.assertIs(printable(text), text)

    @given(STRANGE)
    def test_no_control_survives(self, text: str) -> None:
        shown = printable(text)
        self.assertFalse([c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")])
        shown.encode()

    @given(STRANGE)
    def test_no_line_is_added(self, text: str) -> None:
        self.assertLessEqual(len(printable(text).splitlines()), 1)

    @given(STRANGE)
    def test_number_of_lines_is_unchanged(self, text: str) -> None:
        self.assertEqual(printable(text, lines=True).count("\n"), text.count("\n"))

    @given(STRANGE)
    def test_twice_is_once(self, text: str) -> None:
        self.assertEqual(printable(printable(text)), printable(text))
        shown = printable(text, lines=True)
        self.assertEqual(printable(shown, lines=True), shown)
