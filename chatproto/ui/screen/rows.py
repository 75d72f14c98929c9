"""Lay out messages as rows: time, name in a column, text wrapped by display width."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chatproto.ui.screen.cells import cut, width, wrap
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.status import cut_line
from chatproto.ui.screen.styles import Fragment, Line

NAME = 16
"""Largest number of columns of a name."""
LEAST = 20
"""Smallest number of columns of text, even on a narrow terminal."""


def column_for(columns: int) -> int:
    """Return the number of columns for names on a terminal of `columns`."""
    return NAME if columns >= 100 else 12 if columns >= 60 else 8


def label(parts: Sequence[Fragment], glyphs: Glyphs) -> Line:
    """Return the room and the name before a text, each cut to `NAME` columns."""
    shown = [(style, cut(text, NAME, glyphs.more)) for style, text in parts]
    return tuple(
        piece
        for number, (style, text) in enumerate(shown)
        for piece in ((("", " "),) if number else ()) + ((style, text),)
    )


def rows(
    time: str,
    who: Line,
    lines: Sequence[str],
    columns: int,
    glyphs: Glyphs,
    style: str = "",
    mark: Fragment | None = None,
    ours: bool = False,
) -> list[Line]:
    """Return one entry of the scrollback as rows of at most `columns` columns.

    Args: time: short local time; empty for none. who: label before the text. lines: printable text, one
    item per line; those after the first begin with a bar, so that no text can look like a line of
    another sender. style: of the text. mark: printed after the text. ours: the text is a sentence of
    this program, and a key that the wrap would break gets its own row, to be copied.
    """
    indent = width(time) + 1 if time else 0
    named = sum(width(text) for _, text in who)
    # On a narrow terminal a notice uses the columns of the names.
    column = named if columns < 60 and named <= 2 else column_for(columns)
    begin = indent + max(column, named) + 1
    room = columns - begin
    if room < LEAST:
        begin = indent + named + 1
    inner = indent + column + 1
    if columns - inner < LEAST:
        inner = indent if columns - indent >= LEAST else 0
    head: list[Fragment] = [("dim", f"{time} ")] if time else []
    head += who
    found: list[Line] = []
    if columns - begin < LEAST // 2:  # a long name on a narrow terminal has its own row
        found.append(cut_line(tuple(head), columns, glyphs))
        head, begin = [("", " " * inner)], inner
    else:
        head.append(("", " " * (begin - indent - named)))
    for number, line in enumerate(lines or [""]):
        before = tuple(head) if not number else (("dim", " " * inner + f"{glyphs.inside} "),)
        first = columns - (begin if not number else inner + 2)
        after = columns - inner - (2 if number else 0)
        pieces, alone = _wrapped(line, max(first, 2), max(after, 2)), set[int]()
        if ours and _is_broken(line, pieces):
            pieces, alone = _keys_alone(line, max(first, 2), max(after, 2), columns)
        for index, piece in enumerate(pieces):
            if index in alone:
                found.append(((style, piece),))
            elif not index:
                found.append((*before, (style, piece)))
            elif number:
                found.append((("dim", " " * inner + f"{glyphs.inside} "), (style, piece)))
            else:
                found.append((("", " " * inner), (style, piece)))
    if mark is not None:
        used = sum(width(text) for _, text in found[-1])
        if used + 1 + width(mark[1]) <= columns:
            found[-1] = (*found[-1], (mark[0], f" {mark[1]}"))
        else:
            found.append((("", " " * inner), mark))
    return found


def rule(text: str, columns: int, glyphs: Glyphs, style: str = "dim") -> Line:
    """Return a line with `text` in it, such as a day."""
    shown = cut(text, max(columns - 8, 0), glyphs.more)
    return ((style, f"{glyphs.rule * 2} {shown} {glyphs.rule * 2}"),)


def plain_rows(lines: Sequence[str], columns: int) -> list[Line]:
    """Return the answer of a command: unchanged, indented, and wrapped only if necessary.

    In a line with two columns, such as those of /help, the second one is wrapped within itself; if
    there is no room for it, it begins below the first.
    """
    found: list[Line] = []
    for line in lines:
        pieces, alone = _answer_rows(line, columns - 2), set[int]()
        if _is_broken(line, pieces):
            pieces, alone = _keys_alone(line, columns - 2, columns - 4, columns)
        found += [
            (("", piece if index in alone else f"  {piece}"),) for index, piece in enumerate(pieces)
        ]
    return found


_KEY = re.compile(r"(\(?sha256:[A-Z2-7]{52}[).,;:]*)")
"""Key as it is shown, with the signs around it."""


def _is_broken(line: str, pieces: Sequence[str]) -> bool:
    """Return True if a key in `line` is not complete in one of its `pieces`."""
    return not all(any(key in piece for piece in pieces) for key in _KEY.findall(line))


def _keys_alone(line: str, first: int, after: int, columns: int) -> tuple[list[str], set[int]]:
    """Wrap `line`, with each key in rows of its own that begin at the left edge.

    Args: first, after, columns: widths of the first row, of further ones, and of those with a key.
    Returns: the pieces, and the indexes of those that begin at the left edge.
    """
    pieces: list[str] = []
    alone: set[int] = set()
    for part in _KEY.split(line):
        if _KEY.fullmatch(part):
            pieces = pieces or [""]
            broken = wrap(part, columns)
            alone.update(range(len(pieces), len(pieces) + len(broken)))
            pieces += broken
        elif text := part.strip():
            pieces += wrap(text, after) if pieces else _wrapped(text, first, after)
    return pieces, alone


_FIRST_COLUMN = re.compile(r" *\S(?: ?\S)* {2,}(?=\S)")
"""First of two columns, up to the second one."""


def _answer_rows(line: str, columns: int) -> list[str]:
    if width(line) <= columns:
        return [line]
    indent = len(line) - len(line.lstrip(" ")) + 2
    first = _FIRST_COLUMN.match(line)
    if first is None:
        head, *rest = wrap(line, max(columns - indent, 2))
        return [head, *(" " * indent + piece for piece in rest)]
    begin = width(first[0])
    if columns - begin >= LEAST - 4:
        head, *rest = wrap(line[first.end() :], columns - begin)
        return [first[0] + head, *(" " * begin + piece for piece in rest)]
    below = wrap(line[first.end() :], max(columns - indent, 2))
    return [
        *wrap(first[0].rstrip(" "), max(columns, 2)),
        *(" " * indent + piece for piece in below),
    ]


def _wrapped(line: str, first: int, after: int) -> list[str]:
    """Wrap `line`: the first row has `first` columns, the others `after`."""
    if width(line) <= first:
        return [line]
    if first >= after:
        return wrap(line, after)
    pieces = wrap(line, first)
    rest = line[line.find(pieces[0]) + len(pieces[0]) :].lstrip(" ")
    return [pieces[0], *wrap(rest, after)] if rest else [pieces[0]]
