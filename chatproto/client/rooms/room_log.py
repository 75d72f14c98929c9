"""Keep room messages in our own log, where /search finds them."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.client.events import Event, Failed
from chatproto.net.dates import moment_of
from chatproto.session.ledger import MSG, Ledger, LedgerTrouble, LogLine, StreamEntry
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_rooms import Said

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
