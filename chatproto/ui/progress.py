"""How far a file is, in one line that is rewritten in place."""

from __future__ import annotations

from typing import Any
from unicodedata import combining, east_asian_width

from chatproto.stdio.printable import printable
from chatproto.ui.file_view import duration, percent, speed


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
