"""Deliver numbered messages to one key: numbering, acknowledgement, and turns.

Protocol section 4. `Delivery` is the numbering in both directions; it belongs to a key and outlives
conversations. `Exchange` adds the turn and decides what is sent on the current connection.

An outgoing message is stored in the ledger before it is sent, and an incoming one before it is
acknowledged, so a program that is killed continues at the same message.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from chatproto.net.clock import Wall
from chatproto.session.effects import (
    Acknowledge,
    Connection,
    Effect,
    EntryWritten,
    MessageOutcome,
    Opening,
    Queued,
    Received,
    SendEntry,
    TurnPassed,
)
from chatproto.session.floor import Floor, TurnHolder
from chatproto.session.ledger import (
    DELIVERED,
    MODE,
    MSG,
    TURN,
    UNCERTAIN,
    UNDELIVERED,
    Ledger,
    LedgerTrouble,
    StreamEntry,
)
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import (
    NO_TURNS,
    NOT_QUEUED_FOR,
    NOT_YOUR_TURN,
    QUEUE_FULL,
    Cause,
    Reason,
)

OUTBOX_AGE = 7 * 86400.0
"""Seconds after which a queued message expires."""


class QueueFull(LocalError):
    """The queue is full: it holds `count` messages, which is `waiting_messages`."""

    def __init__(self, count: int) -> None:
        super().__init__(429, QUEUE_FULL(count=count), Reason.RATE_LIMITED)


class Delivery:
    """Outbox towards one key and position in the peer's numbering, over a ledger.

    `smaller`: our key is smaller than the peer's, which decides ties. `new_stream` returns the name of a
    numbering. An entry is queued, released when it may be sent, written by a connection, and leaves the
    outbox when it has arrived.
    """

    def __init__(
        self,
        ledger: Ledger,
        key: str,
        name: str,
        smaller: bool,
        new_stream: Callable[[], str],
        limits: ClientLimits,
    ) -> None:
        self.key = key
        self.name = name
        self.smaller = smaller
        self._ledger = ledger
        self._new_stream = new_stream
        self._limits = limits
        if ledger.state(key) is None:
            ledger.begin(key, new_stream())
        self._load()
        self._released = self._written
        self._turn_back = False

    def _load(self) -> None:
        state = self._ledger.state(self.key)
        assert state is not None
        self.stream = state.stream
        self.turn = state.turn
        self.last = state.last
        """Highest id assigned so far."""
        self._written = state.written
        self._may_have = state.written  # no higher number of ours can have arrived
        self._theirs = state.their_stream
        self._have = state.have
        self._entries = {entry.id: entry for entry in self._ledger.entries(self.key)}

    # Our entries.

    def __len__(self) -> int:
        """Return the number of messages that are neither delivered nor reported."""
        return sum(one.kind == MSG and not one.withdrawn for one in self._entries.values())

    @property
    def unsettled(self) -> tuple[int, ...]:
        """Return the ids of messages without a final outcome, withdrawn ones included."""
        return tuple(one.id for one in self._entries.values() if one.kind == MSG)

    @property
    def queued(self) -> tuple[int, ...]:
        """Return the ids of messages that are not known to have arrived, without withdrawn ones."""
        return tuple(one.id for one in self._entries.values() if _is_open_message(one))

    def say(self, kind: str, text: str, at: Wall) -> StreamEntry:
        """Store an entry of ours in the outbox.

        Raises: QueueFull past `waiting_messages` (turns and mode changes: as many again);
        LedgerTrouble.
        """
        most = self._limits.waiting_messages
        if (kind == MSG and len(self) >= most) or len(self._entries) >= 2 * most:
            raise QueueFull(len(self))
        entry = StreamEntry(self.last + 1, kind, at, text)
        moved = self._ledger.add(self.key, self.name, entry)
        entry = replace(entry, moved=moved) if moved else entry
        self.last = entry.id
        self._entries[entry.id] = entry
        return entry

    @property
    def unreleased(self) -> list[StreamEntry]:
        """Return the queued entries that are not released, in order."""
        return [
            one for one in self._entries.values() if one.id > self._released and not one.withdrawn
        ]

    @property
    def held(self) -> tuple[int, ...]:
        """Return the ids of queued messages that are not released."""
        return tuple(one.id for one in self.unreleased if one.kind == MSG)

    def release(self, entry: StreamEntry) -> None:
        """Release `entry`, the first unreleased one: it may be sent now."""
        self._released = entry.id

    @property
    def released(self) -> tuple[StreamEntry, ...]:
        """Return the entries that may be sent and are not known to have arrived, in order.

        A new connection repeats them.
        """
        return tuple(
            one for one in self._entries.values() if one.id <= self._released and not one.withdrawn
        )

    def turn_in_flight(self, after: int) -> bool:
        """Return True if an entry above `after` that passes the turn is in flight."""
        return any(
            after < one.id <= self._released and one.kind != MODE for one in self._entries.values()
        )

    @property
    def turn_unwritten(self) -> bool:
        """Return True if an entry that passes the turn is released and no connection has written it."""
        return self.turn_in_flight(self._written)

    def waits(self, id: int) -> bool:
        """Return True if entry `id` is still to be written: neither arrived nor withdrawn."""
        entry = self._entries.get(id)
        return entry is not None and not entry.withdrawn

    def turn_came_back(self) -> bool:
        """Return True once after an entry that passed the turn was settled as undelivered."""
        back, self._turn_back = self._turn_back, False
        return back

    def mode_in_flight(self, after: int) -> bool:
        """Return True if a mode change above `after` is in flight or queued."""
        return any(one.kind == MODE and one.id > after for one in self._entries.values())

    def drop_modes(self) -> None:
        """Settle our mode changes as undelivered: the peer's own change wins."""
        self._settle([one.id for one in self._entries.values() if one.kind == MODE], UNDELIVERED)

    def wrote(self, id: int) -> bool:
        """Note that a connection writes entry `id` now. Returns True the first time. Raises LedgerTrouble."""
        self._may_have = max(self._may_have, id)
        if id <= self._written:
            return False
        self._ledger.wrote(self.key, id)
        self._written = id
        return True

    def arrived(self, id: int) -> list[MessageOutcome]:
        """Settle everything up to `id` as delivered; an id that was never written is capped."""
        id = min(id, self._written)
        return self._settle([one for one in self._entries if one <= id], DELIVERED)

    def take_back(self, id: int) -> list[MessageOutcome]:
        """Withdraw a message. Raises LocalError 404 if no message `id` is queued."""
        entry = self._entries.get(id)
        if entry is None or entry.withdrawn or entry.kind != MSG:
            raise LocalError(404, NOT_QUEUED_FOR(id=id, peer=self.name))
        if id > self._may_have:
            return self._settle([id], UNDELIVERED)
        self._ledger.withdraw(self.key, id)
        self._entries[id] = replace(entry, text="", withdrawn=True)
        return [MessageOutcome(id, UNCERTAIN, entry.text)]

    def give_up(self) -> list[MessageOutcome]:
        """Withdraw every queued message."""
        waiting = [one.id for one in self._entries.values() if _is_open_message(one)]
        return [outcome for id in waiting for outcome in self.take_back(id)]

    def expire(self, now: Wall) -> list[MessageOutcome]:
        """Withdraw every message older than `OUTBOX_AGE`; `now`: seconds since 1970."""
        before = now - OUTBOX_AGE
        old = [
            one.id
            for one in self._entries.values()
            if _is_open_message(one) and one.at + one.moved < before
        ]
        return [outcome for id in old for outcome in self.take_back(id)]

    # A connection begins.

    @property
    def have(self) -> tuple[str, int]:
        """Return the name of the peer's numbering and the highest id received in it."""
        return self._theirs, self._have

    def beyond(self, have: tuple[str, int]) -> bool:
        """Return True if the peer has more of our numbering than was ever written: our store is older."""
        return have[0] == self.stream and have[1] > self._written

    def meet(self, stream: str, have: tuple[str, int]) -> list[MessageOutcome]:
        """Compare numberings with the peer when a connection begins.

        `stream`: the peer's numbering; `have`: the peer's position in ours. Written messages that the peer
        does not have are known to be lost. If the peer has more than was ever written, our numbering starts
        again under a new name.
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
        """Begin a new conversation: settle turns and modes of the last one, and hold every message again."""
        turns = [one.id for one in self._entries.values() if one.kind != MSG]
        self._settle(turns, UNDELIVERED)
        self._released = 0

    def keep_turn(self, turn: str) -> None:
        """Store whose turn it is, for a restart; empty: the conversation has ended. Raises LedgerTrouble."""
        if turn != self.turn:
            self._ledger.set_turn(self.key, turn)
            self.turn = turn

    def end_turn(self) -> None:
        """Note that the conversation has ended; ignore a log failure, as the next turn is stored again."""
        with suppress(LedgerTrouble):
            self.keep_turn("")
        self.turn = ""

    # The peer's entries.

    def is_new(self, id: int) -> bool:
        """Return True if the peer's entry `id` was not received before."""
        return id > self._have

    def received(self, entry: StreamEntry) -> int:
        """Commit an entry of the peer. Returns its line number in the log, 0 if it has none."""
        number = self._ledger.store_incoming(self.key, self.name, entry)
        self._have = entry.id
        return number

    # Settling.

    def _settle(self, ids: list[int], state: str) -> list[MessageOutcome]:
        if not ids:
            return []
        self._ledger.settle(self.key, tuple(ids), state)
        gone = [self._entries.pop(id) for id in ids]
        if state == UNDELIVERED:
            self._turn_back |= any(one.kind == MSG and one.id <= self._released for one in gone)
        return [MessageOutcome(one.id, state, one.text) for one in gone if one.kind == MSG]


class Exchange:
    """Send and receive the messages, turns and mode changes of one conversation (section 4).

    `delivery`: the numbering, which outlives this. `floor`: the turn, shared with the session; it resumes
    with the turn stored in `delivery`. `half`: turns are wanted, by the end that changed the mode last.
    Entries are sent only while there is a connection.
    """

    def __init__(self, delivery: Delivery, floor: Floor, half: bool) -> None:
        self.delivery = delivery
        self.floor = floor
        self.half = half
        self.connection: Connection | None = None
        self._void = 0  # our entries up to this id were sent before the peer's mode change
        self._unconfirmed = False  # the caller may still have the turn of the last conversation
        if delivery.turn:
            floor.turn = TurnHolder(delivery.turn)

    # Begin on a connection, and end.

    def opening(self) -> Opening:
        """Return the headers of our CHAT."""
        return self._opening(self.floor.half if self.delivery.turn else self.half)

    def answer(self, theirs: Opening) -> Opening:
        """Return the headers of our CHATACK; call after `meet`."""
        resumes = self._resumes(theirs)
        return self._opening(self.floor.half if resumes else self.half or theirs.half)

    def meet(self, theirs: Opening) -> list[Effect]:
        """Settle our messages by the position in the peer's CHAT or CHATACK. Raises LedgerTrouble."""
        return [*self.delivery.meet(theirs.stream, theirs.have)]

    def begin(
        self, connection: Connection, theirs: Opening, half: bool, mine: bool
    ) -> list[Effect]:
        """Resume on `connection`; if either end has closed the conversation, start a new one.

        `half`: the mode in our CHAT or CHATACK. `mine`: we called. Call after `meet`. Raises LedgerTrouble.
        """
        delivery = self.delivery
        came_back = delivery.turn_came_back() and theirs.turn != TurnHolder.MINE.value
        self._unconfirmed = False
        if not self._resumes(theirs):
            self._unconfirmed = not mine and theirs.turn == TurnHolder.THEIRS.value
            self.half = half or theirs.half
            self.floor.begin(half=self.half, mine=mine)
            delivery.start_anew()
        elif self._gives_way(theirs.turn):
            self.floor.turn = TurnHolder.THEIRS
        elif came_back and self.floor.half:
            self.floor.turn = TurnHolder.MINE
        self.connection = connection
        self._keep_turn()
        repeated = [SendEntry(connection, entry) for entry in delivery.released]
        said = self._speak()
        turn = [TurnPassed(self.floor.turn)] if self.floor.half else []
        return [*repeated, *said, *turn]

    def stop(self) -> None:
        """Note that the connection is lost."""
        self.connection = None

    def end(self) -> None:
        """End the conversation; undelivered messages stay in the outbox."""
        self.connection = None
        self.delivery.end_turn()

    # Our requests.

    def say(self, text: str, at: Wall) -> list[Effect]:
        """Send `text`, written at `at`, now or when it is our turn. Raises LocalError 429, LedgerTrouble."""
        before = self.floor.turn
        entry = self.delivery.say(MSG, text, at)
        return self._speak_since(before) or [Queued(text, entry.id)]

    def set_half(self, half: bool, at: Wall) -> list[Effect]:
        """Take turns from now on, or stop, and notify the peer. Raises LocalError 429, LedgerTrouble."""
        self.half = half
        if half is self.floor.half:
            return []
        before = self.floor.turn
        self.delivery.say(MODE, "half" if half else "full", at)
        self.floor.set_half(half)
        return self._speak_since(before)

    def pass_turn(self, at: Wall) -> list[Effect]:
        """Pass the turn without a message. Raises LocalError 400 if it is not ours, LedgerTrouble."""
        if not self.floor.half:
            raise LocalError(400, NO_TURNS())
        if not self.floor.may_speak:
            raise LocalError(400, NOT_YOUR_TURN())
        before = self.floor.turn
        self.delivery.say(TURN, "", at)
        return self._speak_since(before)

    def unsend(self, id: int) -> list[Effect]:
        """Withdraw a message. Raises LocalError 404 if no message `id` is queued, LedgerTrouble."""
        became = [
            replace(one, reason=Cause(Reason.TAKEN_BACK)) for one in self.delivery.take_back(id)
        ]
        before = self.floor.turn
        if self.delivery.turn_came_back() and before is TurnHolder.THEIRS:
            self.floor.turn = TurnHolder.MINE
            self._keep_turn()
        return [*became, *self._speak_since(before)]

    def send_queued(self) -> list[Effect]:
        """Send entries that other parts have added to the outbox, as far as the turn allows."""
        return self._speak_since(self.floor.turn)

    # Writing, acknowledgements, and the peer's entries.

    def writes(self, entry: StreamEntry) -> EntryWritten | None:
        """Note that a connection writes `entry` now; return None if it has arrived or was withdrawn.

        Raises: LedgerTrouble.
        """
        if not self.delivery.waits(entry.id):
            return None
        first = self.delivery.wrote(entry.id)
        if self.connection is not None:
            self._keep_turn()
        return EntryWritten(entry, first)

    def arrived(self, id: int) -> list[Effect]:
        """Settle everything up to `id` as delivered. Raises LedgerTrouble."""
        self._unconfirmed = False
        return [*self.delivery.arrived(id)]

    def received(self, connection: Connection, entry: StreamEntry) -> list[Effect]:
        """Handle an entry of the peer on `connection`: message, turn or mode. Raises LedgerTrouble."""
        delivery = self.delivery
        self._unconfirmed = False
        if not delivery.is_new(entry.id):
            return [Acknowledge(connection, delivery.have[1])]
        before = self.floor.turn
        crossed = delivery.mode_in_flight(self._void)
        if entry.kind == MODE and not (crossed and delivery.smaller):
            self.half = entry.text == "half"
            self.floor.changed(self.half)
            self._void = delivery.last
            delivery.drop_modes()
        elif self.floor.turn is not TurnHolder.BOTH and not crossed:
            # If crossed, the peer sent it before it knew of our mode change.
            under_way = delivery.turn_in_flight(self._void)
            self.floor.message_received(crossed=under_way, smaller=delivery.smaller)
        # Store the turn first: if we are killed in between, the peer repeats its entry.
        self._keep_turn()
        number = delivery.received(entry)
        news: list[Effect] = []
        if entry.kind == MSG:
            news.append(Received(entry.text, entry.id, number, entry.at))
        return [*news, Acknowledge(connection, entry.id), *self._speak_since(before)]

    # Openings and turns.

    def _opening(self, half: bool) -> Opening:
        turn = self.floor.turn.value if self.delivery.turn else ""
        return Opening(half, self.delivery.stream, self.delivery.have, turn)

    def _resumes(self, theirs: Opening) -> bool:
        """Return True if neither end has closed the conversation."""
        return bool(theirs.turn) and bool(self.delivery.turn)

    def _gives_way(self, turn: str) -> bool:
        """Return True if both ends claim the turn and ours yields.

        The smaller key wins, and so does an unacknowledged mode change of ours, which is repeated.
        """
        delivery = self.delivery
        both = self.floor.turn is TurnHolder.MINE and turn == TurnHolder.MINE.value
        return both and not delivery.smaller and not delivery.mode_in_flight(self._void)

    def _keep_turn(self) -> None:
        """Store the turn. An entry that no connection has written does not pass it, in case we are killed.

        If the caller had passed the turn of the last conversation, the new turn is stored only once the
        caller has sent in the new one: it may not know of it, and both ends would wait for each other.
        """
        turn = self.floor.turn
        if self._unconfirmed and turn is TurnHolder.THEIRS:
            return
        if turn is TurnHolder.THEIRS and self.delivery.turn_unwritten:
            turn = TurnHolder.MINE
        self.delivery.keep_turn(turn.value)

    def _speak_since(self, before: TurnHolder) -> list[Effect]:
        """Send the entries that may be sent; report the turn if it is no longer `before`."""
        said = self._speak()
        return [*said, TurnPassed(self.floor.turn)] if self.floor.turn is not before else said

    def _speak(self) -> list[Effect]:
        effects: list[Effect] = []
        if self.connection is None:
            return effects
        waiting = self.delivery.unreleased
        modes = sum(one.kind == MODE for one in waiting)
        for entry in waiting:
            # An entry queued before a mode change needs no turn.
            if not modes and self.floor.turn is TurnHolder.THEIRS:
                break
            self.delivery.release(entry)
            effects.append(SendEntry(self.connection, entry))
            if entry.kind == MODE:
                modes -= 1
                self.floor.set_half(entry.text == "half")
            elif not modes and self.floor.turn is not TurnHolder.BOTH:
                self.floor.message_sent()
        return effects


def _is_open_message(entry: StreamEntry) -> bool:
    return entry.kind == MSG and not entry.withdrawn
