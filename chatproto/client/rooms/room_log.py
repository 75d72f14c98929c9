"""Log room messages, for /search, and report those missed since the last logged one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from chatproto.client.events import Event, Failed, MessageReceived, Notice
from chatproto.net.dates import moment_of
from chatproto.session.ledger import MSG, Ledger, LedgerTrouble, LogLine, StreamEntry
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_rooms import Said

SHOWN = 50
"""Most missed lines of a room that are shown after a start; the log has all of them."""
ROOM_LOG = 10_000
"""Most messages per room in the log."""
COMPARED = 2048
"""Latest logged messages of a room that are compared with those of the server after a start."""


class RoomLog:
    """Log the last `ROOM_LOG` messages of each room in `ledger`; `tell` publishes events.

    If the ledger fails, messages are still shown but not logged. The failure is reported once, until
    the ledger works again; the server may have the messages.
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

    def store(self, said: Said) -> None:
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
    """Absence from a room since its last logged line; `logged`: its last lines in the log, at least one.

    The log does not distinguish servers. A line that is logged already, from a room of the same name
    at another server, was not missed.
    """

    def __init__(self, logged: Sequence[LogLine]) -> None:
        self.since = logged[-1].id
        """Number of the last logged line."""
        self._logged = {(line.id, line.name, line.text) for line in logged}
        self._last: deque[MessageReceived] = deque(maxlen=SHOWN)
        self._count = 0

    def is_known(self, said: Said) -> bool:
        """Return True if the log has this line."""
        return (said.id, said.sender, marked(said.text, said.kind)) in self._logged

    def add(self, event: MessageReceived) -> None:
        """Add a missed line; lines are added in order."""
        self._last.append(event)
        self._count += 1

    def events(self, room: str) -> list[Event]:
        """Return a notice with the number of missed lines, and the last `SHOWN` of them."""
        if not self._count:
            return []
        noun = "message" if self._count == 1 else "messages"
        lines = f"{self._count} {noun} in {room} since you were last there"
        more = self._count - len(self._last)
        if more:
            lines += f"; {more} more: /history {room} {self._count}"
        return [Notice(lines), *self._last]
