"""What a program remembers of its conversations, so that nothing is lost: the interface of a store.

Everything is kept for a key, never for a name: a numbering belongs to the key (protocol section 4).
Each method has done its work, as safely as the store can, when it returns; LedgerTrouble says why it
could not, and then nothing of it was done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatproto.net.clock import Wall

MSG, TURN, MODE = "msg", "turn", "mode"
"""The kinds of entries."""

WAITING, DELIVERED, UNCERTAIN, UNDELIVERED, HEARD, OVERHEARD = (
    "waiting",
    "delivered",
    "uncertain",
    "undelivered",
    "heard",
    "overheard",
)
"""What became of a line of the log; HEARD are theirs, OVERHEARD was said in a room."""


LINE_BYTES = 512
"""Bytes that a line of the log counts besides its text."""
ROOM_AT_ONCE = 256
"""Lines that may go for one that comes: more are never needed, since each counts `LINE_BYTES`."""


class LedgerTrouble(Exception):
    """The store cannot be read or written; its text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """Something with a place in a numbering.

    `text`: what a MSG says, `half` or `full` of a MODE, empty of a TURN; `at`: when it was said.
    `withdrawn`: it was written, is not sent again, and has no text any more; what became of it a
    later Have tells. `moved`: seconds between `at` and the time on which its age is reckoned, as the
    system's clock was set since.
    """

    id: int
    kind: str
    at: Wall
    text: str = ""
    withdrawn: bool = False
    moved: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far both directions with one key have come.

    `stream`: the name of our numbering; `last`: the highest ID given in it; `written`: the highest ever
    handed to a connection. `their_stream` (empty: unknown) and `have`: the highest ID of theirs that is
    committed. `turn`: whose turn it was in a conversation that was not ended (empty: there is none).
    """

    stream: str
    last: int = 0
    written: int = 0
    their_stream: str = ""
    have: int = 0
    turn: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A message in the log; `number` rises with every line, `name` is what they were called then.

    Of what was said in a room `key` is the room's name, `name` who said it, `id` its number there.
    """

    number: int
    key: str
    name: str
    id: int
    at: Wall
    text: str
    state: str


class Ledger(Protocol):
    """The outbox, the numbers and the log of one person; the name of a room is no key (`#`)."""

    def standing(self, key: str) -> StreamState | None:
        """How far we have come with `key`; None if there was never anything."""

    def begin(self, key: str, stream: str) -> None:
        """Our numbering towards `key` is from now on `stream`; nothing was written in it.

        For a new key `last` is 0. Else `last` and the entries keep their IDs, but for the withdrawn
        ones, which go (their lines stay `uncertain`).
        """

    def add(self, key: str, name: str, entry: StreamEntry) -> float:
        """`entry` waits in the outbox, `last` is its ID; a MSG gets a line in the log, WAITING.

        Returns by how many seconds its date differs from the time on which it ages (`StreamEntry.moved`).
        """

    def entries(self, key: str) -> tuple[StreamEntry, ...]:
        """What waits for `key`, by ID."""

    def wrote(self, key: str, id: int) -> None:
        """Everything up to `id` was handed to a connection."""

    def settle(self, key: str, ids: tuple[int, ...], state: str) -> None:
        """The entries `ids` leave the outbox; the lines of those that are messages become `state`."""

    def withdraw(self, key: str, id: int) -> None:
        """The entry stays without its text, withdrawn; its line becomes UNCERTAIN."""

    def meet(self, key: str, stream: str) -> None:
        """Their numbering is `stream`; if it was another before, we have nothing of it."""

    def heard(self, key: str, name: str, entry: StreamEntry) -> int:
        """We have their entry: `have` is its ID. A MSG gets a line, HEARD; its number, else 0.

        What one person said takes at most so many bytes: the oldest lines that were shown go.
        """

    def is_full(self, key: str) -> bool:
        """Return True while lines of `key` that nobody has read fill what one person may fill."""

    def was_thinned(self, key: str) -> bool:
        """Return True once after lines of `key` went for the first time to make room for others."""

    def overheard(self, room: str, name: str, entry: StreamEntry, most: int) -> None:
        """`name` has said something in `room`: a line, OVERHEARD.

        The room keeps `most` lines, or up to a tenth more; the oldest go.
        """

    def set_turn(self, key: str, turn: str) -> None:
        """Whose turn it is in a conversation that goes on; empty: it was ended."""

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        """Every key with messages in the outbox, the name of the latest, and how many there are."""

    def history(self, key: str, most: int, before: int = 0) -> tuple[LogLine, ...]:
        """The latest `most` lines with `key`, the oldest first; `before`: only those with lower numbers."""

    def search(self, words: str, most: int) -> tuple[LogLine, ...]:
        """The latest `most` lines that contain every one of `words`, the oldest first."""

    def unshown(self) -> tuple[LogLine, ...]:
        """The HEARD lines above the highest that was shown."""

    def shown(self, number: int) -> None:
        """Every line up to `number` has reached the screen."""

    def close(self) -> None:
        """Nothing more will be asked."""
