"""Colours can be read on dark and on light, and are left out where they are not wanted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.screen.styles import PEOPLE, Styles, colours_wanted, read_colours

XTERM = {"TERM": "xterm-256color"}


def luminance(rgb: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.1)."""
    parts = [int(rgb[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def of_palette(index: int) -> str:
    """Return a colour of the cube of 256 colours as `#rrggbb`."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = index - 16
    return "#{:02x}{:02x}{:02x}".format(*(steps[cube // by % 6] for by in (36, 6, 1)))


class StyleTests(SynchronousTestCase):
    """Styles as escape sequences."""

    def test_every_colour_of_a_person_has_contrast_on_white_and_on_black(self) -> None:
        for index, rgb in PEOPLE:
            self.assertEqual(of_palette(index), rgb)
            light = luminance(rgb)
            self.assertGreaterEqual(1.05 / (light + 0.05), 3.0, rgb)
            self.assertGreaterEqual((light + 0.05) / 0.05, 3.0, rgb)

    def test_no_colour_where_none_is_wanted(self) -> None:
        self.assertEqual(colours_wanted("auto", XTERM, lambda: 256), 256)
        self.assertEqual(colours_wanted("auto", {**XTERM, "NO_COLOR": "1"}, lambda: 256), 0)
        self.assertEqual(colours_wanted("auto", {**XTERM, "NO_COLOR": ""}, lambda: 256), 256)
        self.assertEqual(colours_wanted("auto", {"TERM": "dumb"}, lambda: 8), 0)
        self.assertEqual(colours_wanted("auto", {"TERM": "linux"}, lambda: 8), 8)
        self.assertEqual(colours_wanted("auto", {"TERM": "vt100"}, lambda: 0), 0)
        self.assertEqual(colours_wanted("never", XTERM, lambda: 256), 0)
        self.assertEqual(colours_wanted("always", {**XTERM, "NO_COLOR": "1"}, lambda: 256), 256)
        self.assertEqual(colours_wanted("always", {"TERM": "vt100"}, lambda: 0), 8)

    def test_colours_can_be_chosen(self) -> None:
        styles = Styles(256, read_colours({"people": [1, 33], "bad": 244}))
        line = (("bad", "no"), ("person.0", "a"), ("person.3", "b"), ("good", "yes"))
        self.assertEqual(
            styles.escaped(line).replace("\x1b", ""),
            "[38;5;244mno[0m[38;5;1ma[0m[38;5;33mb[0m[38;5;28myes[0m",
        )
        prompt = styles.prompt_styles()
        self.assertEqual((prompt["bad"], prompt["person.2"]), ("#808080", "ansired"))
        self.assertEqual(prompt["person.11"], of_palette(33))
        self.assertEqual(Styles(8, {"bad": (244,)}).escaped(line), Styles(8).escaped(line))

    def test_a_wrong_colour_is_one_sentence(self) -> None:
        for chosen, words in (
            ({"bob": 1}, "no colour can be chosen for 'bob'"),
            ({"bad": 256}, "bad takes a number from 0 to 255"),
            ({"bad": "red"}, "bad takes a number"),
            ({"bad": [1]}, "bad takes a number"),
            ({"people": []}, "people takes 1 to 12 numbers"),
            ({"people": [1, -1]}, "people takes 1 to 12 numbers"),
            ({"people": [1] * 13}, "people takes 1 to 12 numbers"),
        ):
            with self.assertRaises(ValueError) as caught:
                read_colours(chosen)
            self.assertIn(words, str(caught.exception))

    def test_without_colours_there_is_no_escape_sequence(self) -> None:
        line = (("bad", "no"), ("person.1", "bob"))
        self.assertEqual(Styles(0).escaped(line), "nobob")
        self.assertEqual(
            Styles(256).escaped(line), "\x1b[1;38;5;160mno\x1b[0m\x1b[38;5;28mbob\x1b[0m"
        )
        self.assertEqual(set(Styles(0).prompt_styles().values()), {""})

    def test_no_control_character_of_a_text_reaches_the_terminal(self) -> None:
        hostile = "a\x1b]52;c;x\a\u202eb\x9bc"
        self.assertEqual(Styles(0).escaped((("", hostile),)), "a␛]52;c;x␇\ufffdb\ufffdc")
