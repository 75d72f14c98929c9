"""Complete with Tab as a shell does: the common part at once, a list at the second Tab."""

from __future__ import annotations

from collections.abc import Sequence

from chatproto.stdio.printable import printable
from chatproto.ui.completion import Completion
from chatproto.ui.screen.cells import pad, width

ROWS = 8
"""Largest number of rows of a list."""


def completed(text: str, candidates: Sequence[Completion]) -> str:
    """Return `text` as far as all `candidates` agree, in their upper and lower case."""
    if not candidates:
        return text
    lines = [one.line for one in candidates]
    first, last = min(lines), max(lines)
    size = next((at for at, one in enumerate(first) if last[at : at + 1] != one), len(first))
    return first[:size] if size > len(text) or len(lines) == 1 else text


def listing(candidates: Sequence[Completion], columns: int) -> list[str]:
    """Return the completions of `candidates` in columns, in at most `ROWS` rows."""
    words = sorted(printable(one.shown) for one in candidates)
    size = min(max(map(width, words), default=1) + 2, max(columns - 2, 1))
    across = max(1, (columns - 2) // size)
    rows = [words[at : at + across] for at in range(0, len(words), across)]
    lines = ["".join(pad(word, size) for word in row).rstrip() for row in rows[:ROWS]]
    left = sum(map(len, rows[ROWS:]))
    return [*lines, f"and {left} more"] if left else lines
