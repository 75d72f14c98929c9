"""Pictures of the screen: what the emulator shows stands in the SVG, cell by cell."""

from __future__ import annotations

from xml.etree import ElementTree

import pyte

from misc.pictures import FORE, MARGIN, WIDE, svg

TEXT = "{http://www.w3.org/2000/svg}text"


def texts(written: str) -> list[tuple[str, float, float, str]]:
    """Return text, first column, columns and colour of each text in the picture of `written`."""
    screen = pyte.Screen(30, 5)
    pyte.Stream(screen).feed(written)
    root = ElementTree.fromstring(svg(screen, "a <title>"))
    return [
        (
            one.text or "",
            round((float(one.attrib["x"]) - MARGIN) / WIDE, 3),
            round(float(one.attrib["textLength"]) / WIDE, 3),
            one.attrib["fill"],
        )
        for one in root.iter(TEXT)
    ]


def test_texts_stand_in_their_columns() -> None:
    assert texts("  a <b> &amp; \x1b[38;5;160mred\x1b[0m") == [
        ("a <b> &amp;", 2, 11, FORE),
        ("red", 14, 3, "#d70000"),
    ]


def test_wide_characters_take_two_columns_and_push_nothing_aside() -> None:
    assert texts("to 漢🔒> e\u0301!") == [
        ("to", 0, 2, FORE),
        ("漢", 3, 2, FORE),
        ("🔒", 5, 2, FORE),
        ("> é!", 7, 4, FORE),
    ]


def test_empty_rows_at_the_bottom_are_left_out() -> None:
    screen = pyte.Screen(30, 50)
    pyte.Stream(screen).feed("one\r\ntwo")
    high = ElementTree.fromstring(svg(screen, "")).attrib["height"]
    assert float(high) < 100
