"""Show the progress of files, one line each, rewritten in place."""

from __future__ import annotations

from typing import Any
from unicodedata import combining, east_asian_width

from chatproto.stdio.printable import printable
from chatproto.ui.file_view import duration, percent, speed

MOST = 8
"""Lines at once; so many files move, and those that wait are shown where there is room."""
_OVER = frozenset({"done", "declined", "cancelled", "failed"})
_WAITING = frozenset({"queued", "offered"})


class ProgressLines:
    """The last lines of a terminal: told of `file` events, it gives what to write there.

    `simple`: the terminal knows no way up, and all share one line.
    """

    def __init__(self, simple: bool) -> None:
        self._simple = simple
        self._files: dict[int, dict[str, Any]] = {}
        self._drawn = 0  # lines of ours that the cursor stands at the end of

    def told(self, event: dict[str, Any], columns: int, rows: int) -> str:
        """Return the text to write for `event`; a finished file keeps its line above the others."""
        over = event["state"] in _OVER
        if self._simple:
            self._drawn = int(not over)
            return f"\r{progress_line(event, columns)}" + "\n" * over
        if over:
            self._files.pop(event["id"], None)
            # The others are drawn again with their next news: something may be said of this one first.
            return f"{self._erased()}{progress_line(event, columns).rstrip()}\n"
        self._files[event["id"]] = event
        first = sorted(self._files.values(), key=lambda one: one["state"] in _WAITING)
        lines = [progress_line(one, columns).rstrip() for one in first[: max(1, min(MOST, rows))]]
        erased, self._drawn = self._erased(), len(lines)
        return erased + "\n".join(lines)

    def left(self) -> str:
        """Return the text to write before other output below the progress lines."""
        drawn, self._drawn = self._drawn, 0
        self._files.clear()
        return "\n" * bool(drawn)

    def _erased(self) -> str:
        drawn, self._drawn = self._drawn, 0
        up = f"\x1b[{drawn - 1}A" if drawn > 1 else ""
        return f"\r{up}\x1b[J"


def progress_line(event: dict[str, Any], columns: int) -> str:
    """The `file` event as name, percent, rate and time left, in at most `columns` (from 40 on).

    It is filled up with blanks, so that nothing is left of a longer one before it.
    """
    whole = event["state"] == "done"
    done = f" {100 if whole else percent(event['offset'], event['size'])}%"
    if event.get("progress"):
        left = event.get("left")
        done += f" {speed(event.get('rate') or 0)}{'' if left is None else f' {duration(left)}'}"
    elif event["state"] != "moving":
        done += f" {event['state']}"
    name = _cut(printable(event["name"]).replace("\n", " "), columns - len(done))
    return f"{name}{done}" + " " * (columns - _width(name) - len(done))


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def _cut(text: str, columns: int) -> str:
    """The beginning of `text`, with a sign that it goes on if it does not fit."""
    if _width(text) <= columns:
        return text
    kept, left = "", columns - 1
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept += character
    return f"{kept}…"
