"""Gather what was said in a room while the program did not run, and tell the last lines of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from chatproto.client.events import Event, MessageReceived, Notice
from chatproto.session.ledger import LogLine
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_rooms import Said

SHOWN = 50
"""Missed lines of a room that are shown after a start; all of them are in the log."""


class Absence:
    """The time since the last line in one's own log of a room; `logged`: the last lines there, one or more.

    Logs have no server: a line that the log has already, from a room of the same name at another
    server, was not missed.
    """

    def __init__(self, logged: Sequence[LogLine]) -> None:
        self.since = logged[-1].id
        """Number of the last line that is known."""
        self._logged = {(line.id, line.name, line.text) for line in logged}
        self._last: deque[MessageReceived] = deque(maxlen=SHOWN)
        self._count = 0

    def is_known(self, said: Said) -> bool:
        """Return True if the log has this line."""
        return (said.id, said.sender, marked(said.text, said.kind)) in self._logged

    def add(self, event: MessageReceived) -> None:
        """Gather a missed line; they come in their order."""
        self._last.append(event)
        self._count += 1

    def events(self, room: str) -> list[Event]:
        """Return the sentence that tells how many lines were missed, and the last `SHOWN` of them."""
        if not self._count:
            return []
        noun = "message" if self._count == 1 else "messages"
        lines = f"{self._count} {noun} in {room} since you were last there"
        more = self._count - len(self._last)
        if more:
            lines += f"; {more} more: /history {room} {self._count}"
        return [Notice(lines), *self._last]
