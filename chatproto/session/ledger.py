"""Ledger: the interface of a store for the outbox, numbering and message log of one user.

Entries belong to a key, never to a name, because a numbering belongs to the key (protocol section 4).
Each method returns once its change is stored, as safely as the store can. If that fails, it raises
LedgerTrouble and changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from chatproto.net.clock import Wall
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class

MSG, TURN, MODE = "msg", "turn", "mode"
"""Kinds of entries."""

WAITING, DELIVERED, UNCERTAIN, UNDELIVERED, HEARD, OVERHEARD = (
    "waiting",
    "delivered",
    "uncertain",
    "undelivered",
    "heard",
    "overheard",
)
"""States of a line in the log; HEARD: from the peer, OVERHEARD: from a room."""


LINE_BYTES = 512
"""Bytes that a line of the log is charged besides its text."""
ROOM_AT_ONCE = 256
"""Most lines removed to make room for one; more are never needed, since each counts `LINE_BYTES`."""


class LedgerTrouble(CodedError):
    """The client's log cannot be read or written."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.LOG_TROUBLE)


@value_class
class StreamEntry:
    """An entry of a numbering: a message, a turn or a mode change.

    `text`: the text of a MSG, `half` or `full` of a MODE, empty for a TURN. `at`: when it was written, in
    seconds since 1970. `withdrawn`: it was sent, is not sent again, and its text is removed; a later Have
    shows its outcome. `moved`: seconds between `at` and the time from which its age counts, because the
    system clock was set since.
    """

    id: int
    kind: str
    at: Wall
    text: str = ""
    withdrawn: bool = False
    moved: float = 0.0


@value_class
class StreamState:
    """Position in both numberings with one key.

    `stream`: the name of our numbering; `last`: the highest id assigned in it; `written`: the highest id
    ever written by a connection. `their_stream` (empty: unknown) and `have`: the peer's numbering, and the
    highest id committed from it. `turn`: whose turn it was in a conversation that has not ended (empty:
    none).
    """

    stream: str
    last: int = 0
    written: int = 0
    their_stream: str = ""
    have: int = 0
    turn: str = ""


@value_class
class LogLine:
    """A message in the log; `number` rises with every line, `name` is the peer's name at that time.

    For a room message, `key` is the room's name, `name` its author, `id` its number there.
    """

    number: int
    key: str
    name: str
    id: int
    at: Wall
    text: str
    state: str


class Ledger(Protocol):
    """Outbox, numberings and log of one user; a room is stored under its name (`#room`) instead of a key."""

    def state(self, key: str) -> StreamState | None:
        """Return the position with `key`; None if the ledger has none."""

    def begin(self, key: str, stream: str) -> None:
        """Start our numbering towards `key` under the name `stream`; nothing was written in it.

        For a new key `last` is 0. Otherwise `last` and the entries keep their ids; withdrawn entries leave
        the outbox (their lines stay `uncertain`).
        """

    def add(self, key: str, name: str, entry: StreamEntry) -> float:
        """Add `entry` to the outbox; `last` becomes its id. A MSG gets a line in the log, WAITING.

        Returns: seconds between its date and the time from which it ages (`StreamEntry.moved`).
        """

    def entries(self, key: str) -> tuple[StreamEntry, ...]:
        """Return the outbox of `key`, by id."""

    def wrote(self, key: str, id: int) -> None:
        """Note that every entry up to `id` was written by a connection."""

    def settle(self, key: str, ids: tuple[int, ...], state: str) -> None:
        """Remove the entries `ids` from the outbox; the log lines of messages among them become `state`."""

    def withdraw(self, key: str, id: int) -> None:
        """Mark the entry withdrawn and remove its text; its line becomes UNCERTAIN."""

    def meet(self, key: str, stream: str) -> None:
        """Store the peer's numbering; if its name has changed, reset `have` to 0."""

    def store_incoming(self, key: str, name: str, entry: StreamEntry) -> int:
        """Commit an entry of the peer: `have` becomes its id.

        Returns: the number of the HEARD line of a MSG, otherwise 0. The lines of one peer take a bounded
        number of bytes: the oldest shown lines are removed first.
        """

    def is_full(self, key: str) -> bool:
        """Return True while unread lines of `key` fill the limit for one peer."""

    def was_thinned(self, key: str) -> bool:
        """Return True once after lines of `key` were removed for the first time to make room."""

    def overheard(self, room: str, name: str, entry: StreamEntry, most: int) -> None:
        """Store a message of `name` in `room` as an OVERHEARD line.

        The log keeps `most` lines of the room, or up to a tenth more; the oldest are removed.
        """

    def set_turn(self, key: str, turn: str) -> None:
        """Store whose turn it is in a conversation that continues; empty: it has ended."""

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        """Return every key with messages in the outbox, the latest name, and their number."""

    def history(self, key: str, most: int, before: int = 0) -> tuple[LogLine, ...]:
        """Return the latest `most` lines with `key`, oldest first; `before`: only lower line numbers."""

    def search(self, words: str, most: int) -> tuple[LogLine, ...]:
        """Return the latest `most` lines that contain every one of `words`, oldest first."""

    def unshown(self) -> tuple[LogLine, ...]:
        """Return the HEARD lines above the highest that was shown."""

    def shown(self, number: int) -> None:
        """Note that every line up to `number` has reached the screen."""

    def close(self) -> None:
        """Close the store."""
