"""Decide what rings the bell: a call, a private message, our own id in a room."""

from __future__ import annotations

import re

from chatproto.client.events import Event, FileChanged, IncomingCallEvent, MessageReceived
from chatproto.ui.legible import inline, name, room_name
from chatproto.wire.actions import spoken

BETWEEN = 2.0
"""Seconds between two bells."""
_LONGEST = 100


class Attention:
    """Turn events into bells and desktop notifications (OSC 9), not more often than `BETWEEN`.

    `own_id`: our id in rooms. `on`: False with --no-bell.
    """

    def __init__(self, own_id: str, on: bool) -> None:
        self._own = re.compile(rf"(?<![\w.-]){re.escape(own_id)}(?![\w-])", re.IGNORECASE)
        self._on = on
        self._last: float | None = None

    def heard(self, event: Event, now: float) -> str | None:
        """Return a printable text for the notification, or None; `now` is monotonic seconds."""
        text = self._text(event) if self._on else None
        if text is None or (self._last is not None and now < self._last + BETWEEN):
            return None
        self._last = now
        return text

    def names_me(self, text: str) -> bool:
        """Return True if `text` has our id as a word."""
        return self._own.search(text) is not None

    def _text(self, event: Event) -> str | None:
        match event:
            case IncomingCallEvent():
                return f"{name(event.id)} calls"
            case FileChanged(ask=True):
                return f"{name(event.from_ or '?')} offers {inline(event.name)}"[:_LONGEST]
            case MessageReceived(history=True):
                return None
            case MessageReceived(room=str(room)):
                if not self.names_me(event.text):
                    return None
                return f"{room_name(room)} {name(event.from_)}: {inline(spoken(event.text))}"[
                    :_LONGEST
                ]
            case MessageReceived():
                return f"{name(event.from_)}: {inline(spoken(event.text))}"[:_LONGEST]
        return None
