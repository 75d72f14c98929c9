"""Progress bars of moving files, one each above the prompt."""

from __future__ import annotations

from collections.abc import Iterable

from chatproto.client.events import FileChanged
from chatproto.ui.file_view import duration, percent, speed
from chatproto.ui.legible import inline, name
from chatproto.ui.screen.cells import cut, pad, width
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.styles import Line

MOST = 3
"""Largest number of bars; the other files are counted in the status line."""
_BAR = 12  # columns
_LIVE = frozenset({"moving", "queued", "offered", "broken", "stalled"})


class FileBars:
    """Follow `file` events, and draw a bar for each moving file."""

    def __init__(self) -> None:
        self._files: dict[int, FileChanged] = {}

    def changed(self, event: FileChanged) -> None:
        """Process an event of a file."""
        if event.state in _LIVE:
            self._files[event.id] = event
        else:
            self._files.pop(event.id, None)

    def all(self) -> list[FileChanged]:
        """Return the files that have not ended."""
        return list(self._files.values())

    def lines(self, columns: int, glyphs: Glyphs) -> list[Line]:
        """Return at most `MOST` bars of at most `columns` columns."""
        moving = [one for one in self._files.values() if one.state == "moving"]
        return [_bar(one, columns, glyphs) for one in moving[:MOST]]


def _bar(event: FileChanged, columns: int, glyphs: Glyphs) -> Line:
    done = percent(event.offset, event.size)
    filled = done * _BAR // 100
    bar = glyphs.full * filled + glyphs.empty * (_BAR - filled)
    numbers = f" {done:>3}%"
    if event.rate:
        numbers += f" {speed(event.rate)}"
    if event.left is not None:
        numbers += f" {duration(event.left)}"
    to = event.to is not None
    whom = name(event.to if event.to is not None else event.from_ or "?")
    called = f"{inline(event.name)} {'to' if to else 'from'} {whom}"
    room = columns - width(bar) - width(numbers) - 1
    if room < 8:
        room, bar = columns - width(numbers), ""
    shown = pad(cut(called, room, glyphs.more), min(room, 40))
    return (("", f"{shown} " if bar else shown), ("good", bar), ("", numbers))


def files_part(files: Iterable[FileChanged]) -> Line:
    """Return the part of the status line about files: number, progress, rate and time left."""
    moving = [one for one in files if one.state == "moving"]
    if not moving:
        return ()
    size = sum(one.size for one in moving)
    done = percent(sum(one.offset for one in moving), size)
    rate = sum(one.rate or 0 for one in moving)
    text = f"files {len(moving)}: {done}%"
    if rate:
        left = max((one.left or 0 for one in moving), default=0)
        text += f" {speed(rate)} {duration(left)}"
    return (("", text),)
