"""Long texts: ask once before many lines are sent, and show them folded."""

from __future__ import annotations

from chatproto.ui.screen.glyphs import Glyphs

ASK = 5
"""Largest number of lines that are sent without a question."""
SHOWN = 3
"""Lines of a long own message that the scrollback shows."""


def lines_of(text: str) -> int:
    """Return the lines of `text`; a final line end adds no further one."""
    return text.rstrip("\n").count("\n") + 1


def question(text: str) -> str:
    """Return the question before `text` is sent; empty if there is none."""
    count = lines_of(text)
    if count <= ASK:
        return ""
    return f"send {count} lines as one message? Enter sends, Esc takes back"


def folded(lines: list[str], glyphs: Glyphs) -> list[str]:
    """Return the first lines of a long message and the number of the others."""
    if len(lines) <= ASK:
        return lines
    return [*lines[:SHOWN], f"{glyphs.more} {len(lines) - SHOWN} more lines"]
