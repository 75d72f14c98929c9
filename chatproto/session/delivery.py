"""Both numberings with one key: what of ours must arrive, and how much of theirs has (protocol section 4).

Whatever is said is in the ledger before it can go out, and whatever is heard before it is
acknowledged; so a program that is killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chatproto.net.clock import Wall
from chatproto.session.ledger import (
    DELIVERED,
    MODE,
    MSG,
    UNCERTAIN,
    UNDELIVERED,
    Ledger,
    StreamEntry,
)
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import Limits


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message of ours: `state` is DELIVERED, UNCERTAIN or UNDELIVERED."""

    id: int
    state: str
    text: str = ""


class Delivery:
    """The outbox towards one key and the place in their numbering, over a ledger.

    `smaller`: our key comes before theirs. `new_stream` makes a name for a numbering. Entries wait,
    are released when they may go out, are written by a connection, and leave when they have arrived.
    """

    def __init__(
        self,
        ledger: Ledger,
        key: str,
        name: str,
        smaller: bool,
        new_stream: Callable[[], str],
        limits: Limits,
    ) -> None:
        self.key = key
        self.name = name
        self.smaller = smaller
        self._ledger = ledger
        self._new_stream = new_stream
        self._limits = limits
        if ledger.standing(key) is None:
            ledger.begin(key, new_stream())
        self._load()
        self._released = self._written
        self._turn_back = False

    def _load(self) -> None:
        standing = self._ledger.standing(self.key)
        assert standing is not None
        self.stream = standing.stream
        self.turn = standing.turn
        self._last = standing.last
        self._written = standing.written
        self._may_have = standing.written  # no higher number of ours can have arrived
        self._theirs = standing.their_stream
        self._have = standing.have
        self._entries = {entry.id: entry for entry in self._ledger.entries(self.key)}

    # Ours.

    def __len__(self) -> int:
        """How many of our messages have neither arrived nor been reported."""
        return sum(one.kind == MSG and not one.withdrawn for one in self._entries.values())

    @property
    def unsettled(self) -> tuple[int, ...]:
        """Which of our messages nobody knows yet what became, also those taken back."""
        return tuple(one.id for one in self._entries.values() if one.kind == MSG)

    @property
    def queued(self) -> tuple[int, ...]:
        """Which of our messages have not arrived as far as is known, without those taken back."""
        return tuple(one.id for one in self._entries.values() if _is_open_message(one))

    @property
    def unwritten(self) -> int:
        """How many of them no connection has taken yet."""
        return sum(one.kind == MSG and one.id > self._written for one in self._entries.values())

    def say(self, kind: str, text: str, at: Wall) -> StreamEntry:
        """Keep something of ours. Raises LedgerTrouble, and LocalError 429 past `waiting_messages`;
        of turns and changes of mode as many may wait besides.
        """
        most = self._limits.waiting_messages
        if (kind == MSG and len(self) >= most) or len(self._entries) >= 2 * most:
            raise LocalError(429, f"{len(self)} messages wait already; this one was not taken")
        entry = StreamEntry(self._last + 1, kind, at, text)
        moved = self._ledger.add(self.key, self.name, entry)
        entry = replace(entry, moved=moved) if moved else entry
        self._last = entry.id
        self._entries[entry.id] = entry
        return entry

    @property
    def next(self) -> StreamEntry | None:
        """The first that waits to be released."""
        return next(self._unreleased(), None)

    @property
    def mode_waits(self) -> bool:
        """Whether a change of mode waits behind others: what was said before it is not held by it."""
        return any(one.kind == MODE for one in self._unreleased())

    def release(self) -> StreamEntry:
        """The first that waits may go out."""
        entry = next(self._unreleased())
        self._released = entry.id
        return entry

    @property
    def released(self) -> tuple[StreamEntry, ...]:
        """What may go out and is not known to have arrived, in its order: a new connection repeats it."""
        return tuple(
            one for one in self._entries.values() if one.id <= self._released and not one.withdrawn
        )

    @property
    def last(self) -> int:
        """The highest number given."""
        return self._last

    def turn_in_flight(self, after: int) -> bool:
        """Whether something above `after` that passes the turn is under way."""
        return any(
            after < one.id <= self._released and one.kind != MODE for one in self._entries.values()
        )

    @property
    def turn_unwritten(self) -> bool:
        """Whether something that passes the turn may go out, and no connection has taken it yet."""
        return self.turn_in_flight(self._written)

    def waits(self, id: int) -> bool:
        """Whether the entry `id` is to be said, or said again: it has not arrived, nor was it taken back."""
        entry = self._entries.get(id)
        return entry is not None and not entry.withdrawn

    def turn_came_back(self) -> bool:
        """Whether something that passed the turn is known not to have arrived and never will; asked once."""
        back, self._turn_back = self._turn_back, False
        return back

    def mode_in_flight(self, after: int) -> bool:
        """Whether a change of mode above `after` is under way, or waits."""
        return any(one.kind == MODE and one.id > after for one in self._entries.values())

    def drop_modes(self) -> None:
        """Changes of mode that are under way count for nothing: they are not said again."""
        self._settle([one.id for one in self._entries.values() if one.kind == MODE], UNDELIVERED)

    def wrote(self, id: int) -> bool:
        """A connection takes the entry `id` now; whether none has before."""
        self._may_have = max(self._may_have, id)
        if id <= self._written:
            return False
        self._ledger.wrote(self.key, id)
        self._written = id
        return True

    def arrived(self, id: int) -> list[Outcome]:
        """They have everything up to `id`; what was never written cannot have arrived."""
        id = min(id, self._written)
        return self._settle([one for one in self._entries if one <= id], DELIVERED)

    def take_back(self, id: int) -> list[Outcome]:
        """Do not send it, or not again. Raises LocalError 404 if nothing of that number waits."""
        entry = self._entries.get(id)
        if entry is None or entry.withdrawn or entry.kind != MSG:
            raise LocalError(404, f"no message {id} waits for {self.name}")
        if id > self._may_have:
            return self._settle([id], UNDELIVERED)
        self._ledger.withdraw(self.key, id)
        self._entries[id] = replace(entry, text="", withdrawn=True)
        return [Outcome(id, UNCERTAIN, entry.text)]

    def give_up(self) -> list[Outcome]:
        """Take back all that waits."""
        waiting = [one.id for one in self._entries.values() if _is_open_message(one)]
        return [outcome for id in waiting for outcome in self.take_back(id)]

    def expire(self, now: Wall) -> list[Outcome]:
        """Take back what has waited for `outbox_age`."""
        before = now - self._limits.outbox_age
        old = [
            one.id
            for one in self._entries.values()
            if _is_open_message(one) and one.at + one.moved < before
        ]
        return [outcome for id in old for outcome in self.take_back(id)]

    # A connection begins.

    @property
    def have(self) -> tuple[str, int]:
        """What a call says that we have of theirs."""
        return self._theirs, self._have

    def beyond(self, have: tuple[str, int]) -> bool:
        """Whether they have more of this numbering than was ever written: we were set back."""
        return have[0] == self.stream and have[1] > self._written

    def meet(self, stream: str, have: tuple[str, int]) -> list[Outcome]:
        """Their numbering is `stream`, and this is what they have of ours.

        What is written and not had is known not to have arrived. If they have more than was ever
        written, our numbering begins anew: its name is another afterwards.
        """
        if stream != self._theirs:
            self._ledger.meet(self.key, stream)
            self._theirs, self._have = stream, 0
        number = have[1] if have[0] == self.stream else 0
        outcomes = self.arrived(number)
        self._may_have = min(number, self._written)
        missing = [one.id for one in self._entries.values() if one.withdrawn]
        outcomes += self._settle(missing, UNDELIVERED)
        if self.beyond(have):
            self._ledger.begin(self.key, self._new_stream())
            self._load()
            self._released = 0
        return outcomes

    def start_anew(self) -> None:
        """It is a new conversation: turns of the last one mean nothing, and all waits for its floor."""
        turns = [one.id for one in self._entries.values() if one.kind != MSG]
        self._settle(turns, UNDELIVERED)
        self._released = 0

    def keep_turn(self, turn: str) -> None:
        """Whose turn it is, so that it is known after a restart; empty: the conversation is over."""
        if turn != self.turn:
            self._ledger.set_turn(self.key, turn)
            self.turn = turn

    # Theirs.

    def is_new(self, id: int) -> bool:
        """Whether we do not have their entry `id`."""
        return id > self._have

    def received(self, entry: StreamEntry) -> int:
        """Commit an entry of theirs; the number of its line in the log, 0 if it has none."""
        number = self._ledger.heard(self.key, self.name, entry)
        self._have = entry.id
        return number

    # How it follows.

    def _unreleased(self) -> Iterator[StreamEntry]:
        return (
            one for one in self._entries.values() if one.id > self._released and not one.withdrawn
        )

    def _settle(self, ids: list[int], state: str) -> list[Outcome]:
        if not ids:
            return []
        self._ledger.settle(self.key, tuple(ids), state)
        gone = [self._entries.pop(id) for id in ids]
        if state == UNDELIVERED:
            self._turn_back |= any(one.kind == MSG and one.id <= self._released for one in gone)
        return [Outcome(one.id, state, one.text) for one in gone if one.kind == MSG]


def _is_open_message(entry: StreamEntry) -> bool:
    return entry.kind == MSG and not entry.withdrawn
