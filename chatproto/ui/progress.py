"""How far a file is, in one line that is rewritten in place."""

from __future__ import annotations

from typing import Any
from unicodedata import combining, east_asian_width

from chatproto.stdio.printable import printable

_UNITS = ("B", "KB", "MB", "GB", "TB")


def progress_line(event: dict[str, Any], columns: int) -> str:
    """The `file` event as name, percent, rate and time left, in at most `columns` (from 40 on).

    It is filled up with blanks, so that nothing is left of a longer one before it.
    """
    size, offset = event["size"], event["offset"]
    percent = 100 if not size else 100 * offset // size
    done = f" {100 if event['state'] == 'done' else min(percent, 99)}%"
    if event.get("progress"):
        done += f" {_rate(event.get('rate') or 0)}{_time(event.get('left'))}"
    elif event["state"] != "moving":
        done += f" {event['state']}"
    name = _cut(printable(event["name"]).replace("\n", " "), columns - len(done))
    return f"{name}{done}" + " " * (columns - _width(name) - len(done))


def _rate(bytes_a_second: float) -> str:
    """At most ten characters."""
    for unit in _UNITS:
        if bytes_a_second < 1000 or unit == _UNITS[-1]:
            break
        bytes_a_second /= 1000
    return f"{min(bytes_a_second, 9999):.{0 if unit == 'B' else 1}f} {unit}/s"


def _time(left: float | None) -> str:
    """Minutes and seconds, or hours with them; a day and more is not counted out."""
    if left is None:
        return ""
    minutes, seconds = divmod(round(left), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return " >1 day"
    return f" {hours}:{minutes:02}:{seconds:02}" if hours else f" {minutes}:{seconds:02}"


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
