"""Show the progress of files, one line each, rewritten in place."""

from __future__ import annotations

from typing import Any
from unicodedata import combining, east_asian_width

from chatproto.stdio.printable import printable
from chatproto.ui.file_view import duration, percent, speed

MOST = 8
"""Largest number of lines: as many files move at once, and waiting ones are shown if there is room."""
_OVER = frozenset({"done", "declined", "cancelled", "failed"})
_WAITING = frozenset({"queued", "offered"})


class ProgressLines:
    """Last lines of a terminal: for each `file` event, return the text to write there.

    `simple`: the terminal cannot move the cursor up, and all files share one line.
    """

    def __init__(self, simple: bool) -> None:
        self._simple = simple
        self._files: dict[int, dict[str, Any]] = {}
        self._drawn = 0  # lines of ours above the cursor

    def told(self, event: dict[str, Any], columns: int, rows: int) -> str:
        """Return the text to write for `event`; a finished file keeps its line above the others."""
        over = event["state"] in _OVER
        if self._simple:
            self._drawn = int(not over)
            return f"\r{progress_line(event, columns)}" + "\n" * over
        if over:
            self._files.pop(event["id"], None)
            # The others are drawn again at their next event: a line about this one may follow first.
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
    """Return the `file` event as name, percentage, rate and time left, in at most `columns` (from 40
    on).

    It is padded with blanks, so that nothing of a longer line before it stays.
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
    """Return the number of terminal columns of `text`."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def _cut(text: str, columns: int) -> str:
    """Return the beginning of `text`, with a sign if it was cut."""
    if _width(text) <= columns:
        return text
    kept, left = "", columns - 1
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept += character
    return f"{kept}…"
