"""Find the rest of the prompt after a terminal has become narrower and re-wrapped its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BY_VARIABLE = (
    "TMUX",
    "VTE_VERSION",
    "KITTY_WINDOW_ID",
    "WEZTERM_PANE",
    "KONSOLE_VERSION",
    "WT_SESSION",
)
"""Environment variables of terminals that re-wrap their rows."""
_BY_TERM = ("tmux", "xterm-kitty", "alacritty", "foot", "wezterm", "contour")


def wraps_anew(environ: Mapping[str, str]) -> bool:
    """Return True if the terminal is known to re-wrap its rows when its width changes.

    Others, such as xterm and the Linux console, cut them; there one row stays one row.
    """
    named = any(environ.get(name) for name in BY_VARIABLE)
    return named or environ.get("TERM", "").startswith(_BY_TERM)


def rows_above(widths: Sequence[int], cursor: int, columns: int) -> int:
    """Return how many rows are above the cursor in a terminal that now has `columns`.

    Args: widths: columns of each row above the cursor before. cursor: its column, from 0.
    """
    wrapped = sum(max(1, -(-width // columns)) for width in widths)
    return wrapped + cursor // columns
