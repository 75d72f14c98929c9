"""Measure, cut and wrap text by its columns on a terminal."""

from __future__ import annotations

import re
from functools import lru_cache

from wcwidth import wcwidth

_TOKEN = re.compile(r" +|[^ ]+")


@lru_cache(maxsize=4096)
def columns_of(character: str) -> int:
    """Return 0, 1 or 2: the columns of one character (Unicode, UAX #11)."""
    return max(0, wcwidth(character))


def width(text: str) -> int:
    """Return the number of terminal columns of the printable `text`."""
    if text.isascii():
        return len(text)
    return sum(map(columns_of, text))


def cut(text: str, columns: int, more: str = "…") -> str:
    """Return the beginning of `text` in at most `columns` columns; `more` marks a cut."""
    if width(text) <= columns:
        return text
    if columns <= 0:
        return ""
    return _begin(text, columns - width(more)) + more if columns >= width(more) else ""


def pad(text: str, columns: int) -> str:
    """Return `text` with blanks behind it, up to `columns` columns."""
    return text + " " * (columns - width(text))


def wrap(text: str, columns: int) -> list[str]:
    """Split one line of text between words, or inside a word that is longer than `columns`.

    Leading blanks are kept; blanks at a split are removed. `columns`: at least 2, for wide characters.
    """
    if len(text) * 2 <= columns or width(text) <= columns:
        return [text]
    lines: list[str] = []
    line, used = "", 0
    for token in _TOKEN.findall(text):
        size = width(token)
        if used + size <= columns:
            line, used = line + token, used + size
            continue
        if token[0] == " ":
            lines.append(line)
            line, used = "", 0
            continue
        if line.strip():  # else its indentation leaves no room for the word
            lines.append(line.rstrip(" "))
        while size > columns:
            head = _begin(token, columns)
            lines.append(head)
            token = token[len(head) :]
            size = width(token)
        line, used = token, size
    return [*lines, line.rstrip(" ")]


def _begin(text: str, columns: int) -> str:
    """Return as many characters of `text` as fit; combining marks stay with their letter."""
    used = 0
    for index, character in enumerate(text):
        used += columns_of(character)
        if used > columns:
            return text[:index]
    return text
