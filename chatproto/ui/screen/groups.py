"""Tell lines of the past from what is said now: those looked up, and those that are new at the start."""

from __future__ import annotations

from collections.abc import Sequence

from chatproto.client.events import CommandOutput, Event, MessageReceived
from chatproto.net.clock import Wall
from chatproto.ui.legible import name, room_name

LATE = 60.0
"""Seconds by which the clock of a peer may be wrong, for a line that is taken to be older than the start."""
END = "end of what is new"
"""Line behind lines that were new at the start."""


def is_past(event: Event) -> bool:
    """Return True for a line of a log or of a room's history that the person knew before, or asked for."""
    return isinstance(event, MessageReceived) and bool(event.history) and not event.missed


def past_title(said: Sequence[MessageReceived], event: Event | None) -> str:
    """Return the line above `said`; `event` followed them: the end of the command that looked them up.

    At the start none follows: the last run of the program may not have shown them.
    """
    count = f"{len(said)} message{'' if len(said) == 1 else 's'}"
    if isinstance(event, CommandOutput) and event.command == "search":
        return f"search: {count}"
    if isinstance(event, CommandOutput) and event.command == "history":
        first = said[0]
        whom = room_name(first.room) if first.room is not None else name(first.to or first.from_)
        return f"history of {whom}: {count}"
    return f"new since you were last here: {count}"


def news_title(event: Event, now: Wall, began: Wall) -> str:
    """Return the line above lines such as `event` that were said before the program began; or nothing.

    Args: now, began: seconds since 1970.
    """
    if not isinstance(event, MessageReceived):
        return ""
    if event.missed and event.room is not None:
        return f"new in {room_name(event.room)}"
    if event.history or event.said is None or event.said >= min(began, now - LATE):
        return ""
    where = room_name(event.room) if event.room is not None else name(event.from_)
    return f"new from {where}, written while you were away"
