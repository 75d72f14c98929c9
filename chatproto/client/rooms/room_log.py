"""Keep room messages in our own log, where /search finds them, and tell what was missed since the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from chatproto.client.events import Event, Failed, MessageReceived, Notice
from chatproto.net.dates import moment_of
from chatproto.session.ledger import MSG, Ledger, LedgerTrouble, LogLine, StreamEntry
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_rooms import Said

SHOWN = 50
"""Missed lines of a room that are shown after a start; all of them are in the log."""
ROOM_LOG = 10_000
"""Messages of a room in one's own log."""
COMPARED = 2048
"""Latest messages of a room in the log that are compared with those of the server after a start."""


class RoomLog:
    """Keeps the last `ROOM_LOG` messages of each room in `ledger`; `tell` gets news for the person.

    A ledger in trouble keeps nothing, and says so once until it works again: what is said in a room
    can still be read, and the server may have it.
    """

    def __init__(self, ledger: Ledger, tell: Callable[[Event], None]) -> None:
        self._ledger = ledger
        self._tell = tell
        self._in_trouble = False

    def latest(self, room: str) -> tuple[LogLine, ...]:
        """Return the last messages of `room`, oldest first; none if the log cannot be read."""
        try:
            return self._ledger.history(room, COMPARED)
        except LedgerTrouble:
            return ()

    def keep(self, said: Said) -> None:
        """Store a message of ours or of another member."""
        entry = StreamEntry(said.id, MSG, moment_of(said.date), marked(said.text, said.kind))
        try:
            self._ledger.overheard(said.room, said.sender, entry, ROOM_LOG)
        except LedgerTrouble as error:
            if not self._in_trouble:
                self._tell(Failed(str(error), command="log", code=error.reason))
            self._in_trouble = True
        else:
            self._in_trouble = False


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
