"""Compose the status line; it is cut from the right, so that the target is always shown."""

from __future__ import annotations

from collections.abc import Iterable

from chatproto.ui.screen.cells import columns_of, width
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.styles import Fragment, Line


def status_line(parts: Iterable[Line], columns: int, glyphs: Glyphs) -> Line:
    """Join `parts`, the most important first, in at most `columns` columns."""
    joined: list[Fragment] = [("dim", glyphs.rule * 2 + " ")]
    for number, part in enumerate(one for one in parts if one):
        joined += [("dim", f" {glyphs.bar} "), *part] if number else list(part)
    joined.append(("dim", " " + glyphs.rule * 2))
    return cut_line(tuple(joined), columns, glyphs)


def room_beside(parts: Iterable[Line], columns: int, glyphs: Glyphs) -> int:
    """Return the columns for one more part beside `parts`; negative if there is no room."""
    taken = 2 * len(glyphs.rule * 2 + " ")
    between = width(f" {glyphs.bar} ")
    for part in parts:
        if part:
            taken += sum(width(text) for _, text in part) + between
    return columns - taken


def cut_line(line: Line, columns: int, glyphs: Glyphs) -> Line:
    """Return `line` cut from the right to `columns` columns, with a sign for the cut."""
    if sum(width(text) for _, text in line) <= columns:
        return line
    room, found = columns - width(glyphs.more), []
    for style, text in line:
        kept = ""
        for character in text:
            room -= columns_of(character)
            if room < 0:
                break
            kept += character
        found.append((style, kept))
        if room < 0:
            break
    return (*found, ("dim", glyphs.more))
