"""Session: one conversation with one peer, as a state machine without bytes, clock or sockets.

Methods of a session report events and return effects. `TABLE`, at the end, lists every input that
counts in a state, the method that handles it, and the state after it. The capabilities of the dialect
decide what differs between plain text and BCP/2: a call that must be accepted, numbered messages, a
conversation that survives its connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import IntEnum, auto

from chatproto.net.clock import EPOCH, Wall
from chatproto.session.delivery import Delivery, Exchange, QueueFull
from chatproto.session.effects import (
    AcceptCall,
    Acknowledge,
    Broken,
    Call,
    Connection,
    Drop,
    Effect,
    EntryWritten,
    Leave,
    Opening,
    PeerRinging,
    ProbeConnection,
    Queued,
    Received,
    Redial,
    Refuse,
    Resumed,
    Ringing,
    SendChat,
    SendEntry,
    SessionEnded,
    SessionOpened,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.session.floor import Floor, TurnHolder
from chatproto.session.ledger import MSG, LedgerTrouble, StreamEntry
from chatproto.session.state import NOT_A_PERSON, REFUSALS, SessionInput, SessionState
from chatproto.wire.dialects import Capabilities, Me
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits
from chatproto.wire.reasons import (
    CALL_REFUSED_KEY,
    MOVE_FAILED,
    NO_SIGN_OF_LIFE,
    NO_TURN_SIGN,
    NO_UNSEND,
    NOT_NOW,
    NOT_QUEUED,
    TOO_MUCH_EARLY,
    Cause,
    Reason,
)

YOU_LEFT, THEY_LEFT = Cause(Reason.YOU_LEFT), Cause(Reason.PEER_LEFT)
"""Reasons of an end by a farewell, ours and the peer's."""
DECLINED, AWAY, OTHER_KEY = 603, 480, 403
FOR_GOOD = (OTHER_KEY, DECLINED)
"""Statuses of a refusal after which a broken conversation is not dialled again."""
NO_OPENING = Opening(False, "")
"""Opening of a plain-text call, which has no headers."""


class ConnectionRole(IntEnum):
    """Role of a connection, in the order in which `PeerSession.connections` lists them.

    The connection that carries a numbered conversation is `PeerSession.connection` and has no role.
    """

    DIALLED = auto()  # carries a plain conversation; we dialled
    ACCEPTED = auto()  # carries a plain conversation, or rings; the peer dialled
    ASKED = auto()  # our CHAT was sent on it and is not answered
    LEFT = auto()  # in use until we moved to a better one, which is not answered yet
    RINGING = auto()  # the peer's CHAT was received; the user decides
    HELD = auto()  # the peer's CHAT was received; used if the present connection or our call fails


class PeerSession:
    """A conversation with one peer; `dialect`: its capabilities.

    `half`: take turns even if the dialect does not require it. A request of the user without a row in
    `TABLE` raises LocalError; an event from outside that comes too late has no effect.

    One connection carries a numbered conversation. If two calls cross, the call of the owner of the
    smaller key wins. A call beside a connection in use is held until that is known to be dead or
    alive, unless it comes on a better connection. After a move to a better connection the old one is
    no longer read, so that acknowledgements stay true; it is closed when the peer answers.

    Plain messages are not numbered: they count as delivered once written. A dialect that `dials_back`
    has one connection per message, so the end of a connection does not end the conversation.
    """

    def __init__(
        self, dialect: Capabilities, *, half: bool = False, limits: ClientLimits = CLIENT_DEFAULTS
    ) -> None:
        self.dialect = dialect
        self.state = SessionState.NEW
        self.exchange: Exchange | None = None  # the numbered messages, once the key is known
        self.delivery: Delivery | None = None  # the outbox towards that key
        self.waiting: deque[str] = deque()  # queued messages without a number, or without one yet
        self.caller = True  # we dialled the present connection, or the last one before a break
        self._roles: dict[Connection, ConnectionRole] = {}
        self._openings: dict[Connection, Opening] = {}  # of the peer's calls that ring or are held
        self._unapplied = 0  # plain messages in effects that no connection has written yet
        self._early: list[str] = []  # received in plain text before the call was accepted
        self._calling_back = False  # messages are queued for the connection that we dial
        self._moving = False  # to a better connection, without showing it to the user
        self._asked_half = False  # mode in our CHAT
        self._half = half
        self._limits = limits
        self.floor = self._new_floor(mine=True)

    # Reading the state.

    @property
    def half(self) -> bool:
        """Return True if the user wants turns even if the dialect does not require them."""
        return self._half if self.exchange is None else self.exchange.half

    @property
    def unsent(self) -> int:
        """Return the number of messages that are queued or not known to have arrived."""
        numbered = len(self.delivery) if self.delivery is not None else 0
        return len(self.waiting) + self._unapplied + numbered

    @property
    def may_speak(self) -> bool:
        """Return True if a message could be sent now."""
        return self.state is SessionState.OPEN and self.floor.may_speak

    @property
    def connection(self) -> Connection | None:
        """Return the connection that carries a numbered conversation."""
        return self.exchange.connection if self.exchange is not None else None

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Return every connection of the conversation, those that carry it first."""
        carries = () if self.connection is None else (self.connection,)
        return (*carries, *sorted(self._roles, key=self._roles.__getitem__))

    def apply(self, effects: Sequence[Effect], me: Me) -> Iterator[Effect]:
        """Carry out in order the effects on connections, and yield the others for the owner.

        If a connection writes a message at once, EntryWritten or TextWritten is yielded in its place.
        `me`: our name and address, for dialects that announce them.
        """
        self._unapplied += sum(isinstance(effect, Speak) for effect in effects)
        for effect in effects:
            written: Iterable[Effect] = ()
            self._unapplied -= isinstance(effect, Speak)
            match effect:
                case SendEntry(connection, entry):
                    written = connection.write_entry(entry)
                case Acknowledge(connection, id):
                    connection.acknowledge(id)
                case Speak(connection, text) if connection is not None:
                    written = connection.write_text(me, text)
                case Call(connection):
                    connection.write_opener(me)
                case SendChat(connection, opening):
                    connection.ask(me, opening)
                case AcceptCall(connection, opening):
                    connection.answer(me, opening)
                case Refuse(connection, status):
                    connection.refuse(status)
                case Leave(connection, word) if connection is not None:
                    connection.write_farewell(me, word)
                case Drop(connection):
                    connection.drop()
                case ProbeConnection(connection):
                    connection.probe()
                    yield effect
                case _:
                    yield effect
            yield from written

    # Requests of the user.

    def call(self) -> list[Effect]:
        """Call the peer; if the peer's call rings, accept it."""
        return self._request(SessionInput.CALL)

    def call_back(self) -> list[Effect]:
        """Queue messages until our own connection is up: the peer may not read the one it dialled."""
        return self._request(SessionInput.CALL_BACK)

    def accept(self) -> list[Effect]:
        """Accept the peer's call."""
        return self._request(SessionInput.ACCEPT)

    def decline(self) -> list[Effect]:
        """Decline the peer's call."""
        return self._request(SessionInput.DECLINE, DECLINED, Cause(Reason.DECLINED))

    def say(self, text: str, at: Wall = EPOCH) -> list[Effect]:
        """Send `text`, written at `at`, now or when it is our turn.

        Raises: LocalError, of them QueueFull past `waiting_messages`; LedgerTrouble.
        """
        return self._request(SessionInput.SAY, text, at)

    def set_half(self, half: bool, at: Wall = EPOCH) -> list[Effect]:
        """Take turns from now on, or stop; a BCP/2 peer is notified. Raises LocalError, LedgerTrouble."""
        effects = self._feed(SessionInput.MODE, half, at)
        if effects is not None:
            return effects
        if self.exchange is None:
            self._half = half
        else:
            self.exchange.half = half
        return []

    def pass_turn(self, at: Wall = EPOCH) -> list[Effect]:
        """Pass the turn without a message.

        Raises: LocalError 405 if the dialect cannot do that, 400 if it is not our turn; LedgerTrouble.
        """
        if not self.dialect.numbered:
            raise LocalError(405, NO_TURN_SIGN(dialect=self.dialect.name))
        return self._request(SessionInput.PASS, at)

    def unsend(self, id: int) -> list[Effect]:
        """Withdraw message `id`. Raises LocalError 404 if it is not queued, 405 in plain text."""
        if not self.dialect.numbered:
            raise LocalError(405, NO_UNSEND())
        if self.exchange is None:
            raise LocalError(404, NOT_QUEUED(id=id))
        return self.exchange.unsend(id)

    def leave(self, word: str = "") -> list[Effect]:
        """End the conversation; `word`: the farewell typed. Undelivered messages stay in the outbox."""
        return self._request(SessionInput.LEAVE, word)

    # Events of the program.

    def attach(self, delivery: Delivery, at: Wall) -> list[Effect]:
        """Store messages in `delivery` from now on: the peer's key is known. `at`: date of queued ones."""
        if self.exchange is not None:
            return []
        self.exchange, self.delivery = Exchange(delivery, self.floor, self._half), delivery
        effects: list[Effect] = []
        while self.waiting:
            text = self.waiting.popleft()
            try:
                delivery.say(MSG, text, at)
            except (LocalError, LedgerTrouble) as error:
                effects.append(Unsaid(text, error.cause))
        return effects

    def send_queued(self) -> list[Effect]:
        """Send entries that other parts have added to the outbox, as far as the turn allows."""
        return self.exchange.send_queued() if self.exchange is not None else []

    def mirror(self, dialect: Capabilities, *, calling: bool = False) -> None:
        """Continue in the dialect of the peer's answer; `calling`: place the call in it.

        Only a call can begin a dialect with one connection per message.
        """
        if calling or not dialect.dials_back:
            self.dialect = dialect

    def ring_out(self) -> list[Effect]:
        """End the peer's call, which rang too long."""
        return self._request(SessionInput.RING_OUT, AWAY, Cause(Reason.MISSED))

    def unreachable(self, reason: str) -> list[Effect]:
        """Note that no connection can be made for a call, or for calling back."""
        return self._feed(SessionInput.FAIL, reason) or []

    def give_up(self, reason: str) -> list[Effect]:
        """Note that no connection can be made for a broken conversation."""
        return self._feed(SessionInput.GIVE_UP, reason) or []

    def no_answer(self) -> list[Effect]:
        """Note that our call was not answered in time."""
        connection = self._having(ConnectionRole.ASKED)
        if connection is None:
            return []
        if self._having(ConnectionRole.HELD) is not None:
            self._remove(ConnectionRole.ASKED)
            return [Drop(connection), *self._again(failed=True)]
        return self._feed(SessionInput.NO_ANSWER, Cause(Reason.NOT_ANSWERED)) or []

    def silent(self) -> list[Effect]:
        """Note that the connection in use does not answer; matters if another call is held."""
        if self._having(ConnectionRole.HELD) is None or self.connection is None:
            return []
        return self._feed(SessionInput.SILENT) or []

    # Events of connections.

    def connected(self, connection: Connection | None) -> list[Effect]:
        """Use a connection that we dialled; None: the dialect dials for each message."""
        happened = SessionInput.ASK if self.dialect.asks else SessionInput.CONNECT
        effects = None
        if self._having(ConnectionRole.ASKED) is None:
            effects = self._feed(happened, connection)
        if effects is not None:
            return effects
        return [Drop(connection)] if connection is not None else []

    def move(self, connection: Connection) -> list[Effect]:
        """Call again on a new connection of ours that is better than the present one or that of our call."""
        asked, held = self._having(ConnectionRole.ASKED), self._having(ConnectionRole.HELD)
        usable = self.exchange is not None and self._having(ConnectionRole.LEFT) is None
        if usable and (asked is not None or (self.connection is not None and held is None)):
            effects = self._feed(SessionInput.MOVE, connection)
            if effects is not None:
                return effects
        return [Drop(connection)]

    def called(
        self, connection: Connection, theirs: Opening = NO_OPENING, better: bool = False
    ) -> list[Effect]:
        """Handle a call of the peer; `delivery` must be attached unless it rings.

        `better`: the connection is better than the one in use, which the peer is leaving.
        """
        happened = SessionInput.RING
        if self.state is SessionState.OPEN and not better:
            happened = SessionInput.RING_BESIDE if self.dialect.asks else SessionInput.JOIN
        elif self._having(ConnectionRole.ASKED) is not None and self._is_smaller:
            happened = SessionInput.RING_CROSSED
        effects = self._feed(happened, connection, theirs)
        return [Drop(connection)] if effects is None else effects

    def crossed(self, connection: Connection, theirs: Opening) -> list[Effect]:
        """Handle the peer's CHAT on the connection of our own CHAT: both ends dialled, and the dials met.

        The call of the owner of the smaller key wins; the other one is not answered (protocol section 5).
        """
        if self._roles.get(connection) is not ConnectionRole.ASKED or self._is_smaller:
            return []
        return self._take(connection, theirs)

    def answered(self, connection: Connection, theirs: Opening) -> list[Effect]:
        """Open the conversation: the peer accepts our call. Raises LedgerTrouble if it starts anew."""
        if self.exchange is None or self._roles.get(connection) is not ConnectionRole.ASKED:
            return [Drop(connection)]
        if self.exchange.delivery.beyond(theirs.have):
            # Our numbering starts again under a new name, which a new call announces.
            became = self.exchange.meet(theirs)
            return [Drop(connection), *became, *(self._feed(SessionInput.OUTDATED) or [])]
        return self._feed(SessionInput.ANSWER, connection, theirs) or [Drop(connection)]

    def refused(self, connection: Connection, status: int) -> list[Effect]:
        """Handle a refusal with `status`: end the call, or redial later."""
        if self._roles.get(connection) is not ConnectionRole.ASKED:
            return []
        if self.state is SessionState.BROKEN and status not in FOR_GOOD:
            return self._feed(SessionInput.DENY, "") or []
        code = Reason.NOT_ANSWERED if status == AWAY else Reason.of(status)
        reason = Cause(code)
        if status in NOT_A_PERSON:
            reason = Cause(Reason.NOT_A_PERSON)
        if status == OTHER_KEY:
            reason = CALL_REFUSED_KEY()
        return self._feed(SessionInput.REFUSE, reason) or []

    def writes(self, entry: StreamEntry) -> EntryWritten | None:
        """Note that the connection writes `entry` now; None if it is not wanted. Raises LedgerTrouble."""
        return self.exchange.writes(entry) if self.exchange is not None else None

    def text_received(self, text: str) -> list[Effect]:
        """Handle a plain-text message; before the call is accepted it is stored, up to `limits.message`."""
        return self._feed(SessionInput.HEAR, text) or []

    def entry_received(self, connection: Connection, entry: StreamEntry) -> list[Effect]:
        """Handle a numbered entry: a message, a turn or a mode change. Raises LedgerTrouble."""
        if self.exchange is None or connection is not self.exchange.connection:
            return []
        return self.exchange.received(connection, entry)

    def greeted(self) -> list[Effect]:
        """Take the turn: a plain-text caller is silent and waits for our message."""
        return self._feed(SessionInput.WAIT) or []

    def arrived(self, id: int) -> list[Effect]:
        """Settle everything up to `id` as delivered, also after the end. Raises LedgerTrouble."""
        return self.exchange.arrived(id) if self.exchange is not None else []

    def alive(self, connection: Connection) -> list[Effect]:
        """Note that a connection is alive; if it is in use, a call held beside it is dropped."""
        return self._feed(SessionInput.ALIVE) or [] if connection is self.connection else []

    def left(self, connection: Connection) -> list[Effect]:
        """End the conversation: the peer sent a farewell on `connection`."""
        if self.dialect.asks:
            if self.connection is not None:
                counts = connection is self.connection
            else:
                counts = self._roles.get(connection, ConnectionRole.HELD) is not ConnectionRole.HELD
            if not counts:
                return []
        return self._feed(SessionInput.LEFT, THEY_LEFT) or []

    def lost(
        self, connection: Connection, reason: str, unwritten: tuple[str, ...] = ()
    ) -> list[Effect]:
        """Note the end of a connection; `unwritten`: plain messages that were never written on it."""
        role = self._roles.pop(connection, None)
        self._openings.pop(connection, None)
        if not self.dialect.resumes:
            more = self._roles or self.dialect.dials_back
            happened = SessionInput.ONE_LOST if more else SessionInput.LOST
            unsaid = [Unsaid(text, reason) for text in unwritten]
            gone = Cause(Reason.PEER_GONE, reason)
            return [*unsaid, *(self._feed(happened, gone) or [])]
        if connection is self.connection:
            return self._feed(SessionInput.BREAK, reason) or []
        if role is ConnectionRole.ASKED and self._having(ConnectionRole.HELD) is not None:
            return self._again(failed=False)
        if role is ConnectionRole.ASKED:
            return self._feed(SessionInput.CALL_LOST, reason) or []
        if role is ConnectionRole.RINGING:
            return self._feed(SessionInput.LOST, Cause(Reason.PEER_GONE, reason)) or []
        return []

    # The machine.

    def _feed(self, happened: SessionInput, *args: object) -> list[Effect] | None:
        """Handle `happened` by its row in `TABLE`; return None if the state has none."""
        row = TABLE.get((self.state, happened))
        if row is None:
            return None
        handle, self.state = row
        return handle(self, *args)

    def _request(self, wanted: SessionInput, *args: object) -> list[Effect]:
        """Handle a request of the user. Raises LocalError if the state has no row for it."""
        effects = self._feed(wanted, *args)
        if effects is None:
            raise LocalError(400, REFUSALS.get(wanted, NOT_NOW)())
        return effects

    def _having(self, role: ConnectionRole) -> Connection | None:
        return next((one for one, its in self._roles.items() if its is role), None)

    def _remove(self, role: ConnectionRole) -> Connection | None:
        """Remove the connection with `role` from the session and return it."""
        connection = self._having(role)
        if connection is not None:
            del self._roles[connection]
            self._openings.pop(connection, None)
        return connection

    def _waits(self, connection: Connection, role: ConnectionRole, theirs: Opening) -> list[Effect]:
        """Store a call of the peer in `role`, in place of an older one."""
        before = self._remove(role)
        self._roles[connection], self._openings[connection] = role, theirs
        return [] if before is None else [Drop(before)]

    @property
    def _is_smaller(self) -> bool:
        return self.exchange is not None and self.exchange.delivery.smaller

    # Handlers: calls.

    def _nothing(self, *_: object) -> list[Effect]:
        return []

    def _ask(self, connection: Connection) -> list[Effect]:
        assert self.exchange is not None
        opening = self.exchange.opening()
        self._roles[connection], self._asked_half = ConnectionRole.ASKED, opening.half
        return [SendChat(connection, opening), PeerRinging()]

    def _move_call(self, connection: Connection) -> list[Effect]:
        asked = self._having(ConnectionRole.ASKED)
        self._roles[asked] = ConnectionRole.LEFT
        return self._ask(connection)

    def _move_away(self, connection: Connection) -> list[Effect]:
        assert self.exchange is not None
        self._roles[self.exchange.connection], self._moving = ConnectionRole.LEFT, True
        self.exchange.stop()
        return self._ask(connection)

    def _ring(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return [*self._ring_again(connection, theirs), Ringing()]

    def _ring_again(self, connection: Connection, theirs: Opening) -> list[Effect]:
        if self.dialect.asks:
            return self._waits(connection, ConnectionRole.RINGING, theirs)
        return self._join(connection, theirs)

    def _join(self, connection: Connection, theirs: Opening) -> list[Effect]:
        self._roles[connection] = ConnectionRole.ACCEPTED
        return []

    def _hold(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return self._waits(connection, ConnectionRole.HELD, theirs)

    def _hold_and_probe(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return [*self._hold(connection, theirs), ProbeConnection(self.connection)]

    def _take(self, connection: Connection, theirs: Opening) -> list[Effect]:
        effects = self._feed(SessionInput.RING, connection, theirs)
        return [Drop(connection)] if effects is None else effects

    def _accept(self) -> list[Effect]:
        if not self.dialect.asks:
            return self._open(mine=False)
        connection = self._having(ConnectionRole.RINGING)
        return self._answer(connection, self._openings[connection], SessionOpened())

    def _open_call(self, connection: Connection, theirs: Opening) -> list[Effect]:
        if self.dialect.asks:
            return self._answer(connection, theirs, SessionOpened())
        self._roles[connection] = ConnectionRole.ACCEPTED
        return [StopDialling(), *self._open(mine=False)]

    def _resume_call(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return self._answer(connection, theirs, Resumed())

    def _answer(
        self, connection: Connection, theirs: Opening, opened: SessionOpened | Resumed
    ) -> list[Effect]:
        others = [Drop(one) for one in self.connections if one is not connection]
        self._roles.clear()
        self._openings.clear()
        self.caller = False
        return [*others, *self._begin(connection, theirs, self.half, opened)]

    def _open_answered(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return self._answered(connection, theirs, SessionOpened())

    def _resume_answered(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return self._answered(connection, theirs, Resumed())

    def _answered(
        self, connection: Connection, theirs: Opening, opened: SessionOpened | Resumed
    ) -> list[Effect]:
        assert self.exchange is not None
        del self._roles[connection]
        self.caller = True
        others = self._drop_others()
        wish = self.exchange.half
        effects = self._begin(connection, theirs, self._asked_half, opened)
        if wish is not self._asked_half:
            with suppress(LocalError):  # if the queue is full, the agreed mode stays
                effects += self.set_half(wish)
        return [*others, *effects]

    def _begin(
        self, connection: Connection, theirs: Opening, half: bool, opened: SessionOpened | Resumed
    ) -> list[Effect]:
        """Carry the numbered conversation on `connection`; `half`: the mode in our CHAT or CHATACK.

        If the log cannot be used, the conversation ends: no message of the peer could be stored.
        """
        exchange = self.exchange
        assert exchange is not None
        accepted: list[Effect] = []
        self._moving = False
        try:
            became = exchange.meet(theirs)
            if not self.caller:
                accepted = [StopDialling(), AcceptCall(connection, exchange.answer(theirs))]
            sent = exchange.begin(connection, theirs, half, mine=self.caller)
        except LedgerTrouble as error:
            self.state = SessionState.CLOSED
            return self._end(error.cause, farewell=[Leave(connection, "")])
        return [*accepted, opened, *became, *sent]

    # Handlers: plain conversations.

    def _open(self, *, mine: bool) -> list[Effect]:
        self.floor = self._new_floor(mine=mine)
        early, self._early = self._early, []
        for _ in early:
            self.floor.message_received()
        received = [Received(text) for text in early]
        return [SessionOpened(), *received, *self._speak(), TurnPassed(self.floor.turn)]

    def _open_dialled(self, connection: Connection | None) -> list[Effect]:
        return [*self._dialled(connection), *self._open(mine=True)]

    def _join_dialled(self, connection: Connection | None) -> list[Effect]:
        return [*self._dialled(connection), *self._speak_since(self.floor.turn)]

    def _dialled(self, connection: Connection | None) -> list[Effect]:
        self._calling_back = False
        if connection is None:
            return []
        self._roles[connection] = ConnectionRole.DIALLED
        return [Call(connection)]

    def _await_call_back(self) -> list[Effect]:
        self._calling_back = True
        return []

    def _stop_calling_back(self, reason: str) -> list[Effect]:
        self._calling_back = False
        return self._speak_since(self.floor.turn)

    def _text_received(self, text: str) -> list[Effect]:
        before = self.floor.turn
        self.floor.message_received()
        return [Received(text), *self._speak_since(before)]

    def _hear_early(self, text: str) -> list[Effect]:
        self._early.append(text)
        if sum(map(len, self._early)) <= self._limits.message:
            return []
        return self._feed(SessionInput.FLOOD, TOO_MUCH_EARLY()) or []

    def _greet(self) -> list[Effect]:
        before = self.floor.turn
        self.floor.take()
        return self._speak_since(before)

    def _speak_since(self, before: TurnHolder) -> list[Effect]:
        """Send the messages that may be sent; report the turn if it is no longer `before`."""
        sent = self._speak()
        return [*sent, TurnPassed(self.floor.turn)] if self.floor.turn is not before else sent

    def _speak(self) -> list[Effect]:
        effects: list[Effect] = []
        may = self.state is SessionState.OPEN and not self._calling_back
        while may and self.waiting and self.floor.may_speak:
            effects.append(Speak(self._outward(), self.waiting.popleft()))
            self.floor.message_sent()
        return effects

    def _outward(self) -> Connection | None:
        """Return the connection to write on: ours rather than the peer's, which may be one-way."""
        if self.dialect.dials_back:
            return None
        return self._last(ConnectionRole.DIALLED) or self._last(ConnectionRole.ACCEPTED)

    def _last(self, role: ConnectionRole) -> Connection | None:
        return next((one for one in reversed(self._roles) if self._roles[one] is role), None)

    # Handlers: messages and turns.

    def _say(self, text: str, at: Wall) -> list[Effect]:
        if self.exchange is not None:
            return self.exchange.say(text, at)
        if self.unsent >= self._limits.waiting_messages:
            raise QueueFull(self.unsent)
        self.waiting.append(text)
        return self._speak_since(self.floor.turn) or [Queued(text)]

    def _change_mode(self, half: bool, at: Wall) -> list[Effect]:
        if self.exchange is not None:
            return self.exchange.set_half(half, at)
        self._half = half
        before = self.floor.turn
        self.floor.set_half(half)
        return self._speak_since(before)

    def _pass_turn(self, at: Wall) -> list[Effect]:
        assert self.exchange is not None
        return self.exchange.pass_turn(at)

    def _new_floor(self, *, mine: bool) -> Floor:
        turns = self.dialect.takes_turns
        return Floor(
            half=turns or self._half, mine=mine, learns=turns and not self.dialect.strict_turns
        )

    # Handlers: connections that fail.

    def _break(self, reason: str) -> list[Effect]:
        """Resume on another connection: that of a held call of the peer, or a new one."""
        assert self.exchange is not None
        self.exchange.stop()
        return [Broken(reason), *self._again(failed=False)]

    def _drop_silent(self) -> list[Effect]:
        connection = self.connection
        return [Drop(connection), *self._break(NO_SIGN_OF_LIFE())]

    def _break_call(self) -> list[Effect]:
        return [Broken(Cause(Reason.OLD_STATE)), *self._redial_outdated()]

    def _redial_outdated(self) -> list[Effect]:
        self._remove(ConnectionRole.ASKED)
        return self._again(failed=False)

    def _redial(self, reason: str) -> list[Effect]:
        """Redial after an unsuccessful call, and close its connection."""
        connection = self._remove(ConnectionRole.ASKED)
        return [Drop(connection), *self._again(failed=True)]

    def _redial_lost(self, reason: str) -> list[Effect]:
        return self._again(failed=False)

    def _again(self, *, failed: bool) -> list[Effect]:
        """Accept the held call of the peer, or redial."""
        left, held = self._remove(ConnectionRole.LEFT), self._having(ConnectionRole.HELD)
        effects: list[Effect] = [] if left is None else [Drop(left)]
        if held is not None:
            theirs = self._openings[held]
            self._remove(ConnectionRole.HELD)
            return [*effects, *self._take(held, theirs)]
        if self._moving:
            # Data on the connection that was left is unknown here; the peer repeats it on another one.
            self._moving, failed = False, False
            effects.append(Broken(MOVE_FAILED()))
        return [*effects, Redial(failed)]

    def _drop_others(self) -> list[Effect]:
        """Drop the connection that was left and the held call."""
        others = (self._remove(ConnectionRole.LEFT), self._remove(ConnectionRole.HELD))
        return [Drop(one) for one in others if one is not None]

    # Handlers: the end.

    def _refuse(self, status: int, reason: str) -> list[Effect]:
        if not self.dialect.asks:
            return self._leave("", reason)
        ringing = self._having(ConnectionRole.RINGING)
        assert ringing is not None
        return self._end(reason, farewell=[Refuse(ringing, status)])

    def _leave(self, word: str, reason: str = YOU_LEFT) -> list[Effect]:
        last = self.connection or self._outward() or self._having(ConnectionRole.ASKED)
        silent = last is None and not self.dialect.dials_back
        return self._end(reason, farewell=[] if silent else [Leave(last, word)])

    def _end(self, reason: str, *, farewell: Sequence[Leave | Refuse] = ()) -> list[Effect]:
        """Close every connection and report the messages that were not sent."""
        told = {one.connection for one in farewell}
        others = () if None in told else self.connections
        closing: list[Effect] = [*farewell, *(Drop(one) for one in others if one not in told)]
        self._early.clear()
        if self.dialect.asks:
            self._roles.clear()
            self._openings.clear()
        if self.exchange is not None:
            self.exchange.end()
        unsaid = [Unsaid(text, reason) for text in self.waiting]
        self.waiting.clear()
        return [StopDialling(), *closing, *unsaid, SessionEnded(reason)]


_S, _I, _P = SessionState, SessionInput, PeerSession
TABLE: dict[tuple[SessionState, SessionInput], tuple[Callable[..., list[Effect]], SessionState]] = {
    (_S.NEW, _I.CALL): (_P._nothing, _S.CALLING),
    (_S.NEW, _I.RING): (_P._ring, _S.RINGING),
    (_S.CALLING, _I.CONNECT): (_P._open_dialled, _S.OPEN),
    (_S.CALLING, _I.ASK): (_P._ask, _S.ASKING),
    (_S.CALLING, _I.RING): (_P._open_call, _S.OPEN),
    (_S.CALLING, _I.FAIL): (_P._end, _S.CLOSED),
    (_S.CALLING, _I.SAY): (_P._say, _S.CALLING),
    (_S.CALLING, _I.LEAVE): (_P._leave, _S.CLOSED),
    (_S.ASKING, _I.ANSWER): (_P._open_answered, _S.OPEN),
    (_S.ASKING, _I.OUTDATED): (_P._break_call, _S.BROKEN),
    (_S.ASKING, _I.REFUSE): (_P._end, _S.CLOSED),
    (_S.ASKING, _I.NO_ANSWER): (_P._end, _S.CLOSED),
    (_S.ASKING, _I.MOVE): (_P._move_call, _S.ASKING),
    (_S.ASKING, _I.RING): (_P._open_call, _S.OPEN),
    (_S.ASKING, _I.RING_CROSSED): (_P._hold, _S.ASKING),
    (_S.ASKING, _I.SAY): (_P._say, _S.ASKING),
    (_S.ASKING, _I.LEAVE): (_P._leave, _S.CLOSED),
    (_S.ASKING, _I.LEFT): (_P._end, _S.CLOSED),
    (_S.ASKING, _I.CALL_LOST): (_P._end, _S.CLOSED),
    (_S.RINGING, _I.RING): (_P._ring_again, _S.RINGING),
    (_S.RINGING, _I.CALL): (_P._accept, _S.OPEN),
    (_S.RINGING, _I.ACCEPT): (_P._accept, _S.OPEN),
    (_S.RINGING, _I.DECLINE): (_P._refuse, _S.CLOSED),
    (_S.RINGING, _I.RING_OUT): (_P._refuse, _S.CLOSED),
    (_S.RINGING, _I.SAY): (_P._say, _S.RINGING),
    (_S.RINGING, _I.HEAR): (_P._hear_early, _S.RINGING),
    (_S.RINGING, _I.FLOOD): (_P._end, _S.CLOSED),
    (_S.RINGING, _I.LEAVE): (_P._leave, _S.CLOSED),
    (_S.RINGING, _I.LEFT): (_P._end, _S.CLOSED),
    (_S.RINGING, _I.ONE_LOST): (_P._nothing, _S.RINGING),
    (_S.RINGING, _I.LOST): (_P._end, _S.CLOSED),
    (_S.OPEN, _I.CALL_BACK): (_P._await_call_back, _S.OPEN),
    (_S.OPEN, _I.CONNECT): (_P._join_dialled, _S.OPEN),
    (_S.OPEN, _I.FAIL): (_P._stop_calling_back, _S.OPEN),
    (_S.OPEN, _I.MOVE): (_P._move_away, _S.BROKEN),
    (_S.OPEN, _I.JOIN): (_P._join, _S.OPEN),
    (_S.OPEN, _I.RING): (_P._resume_call, _S.OPEN),
    (_S.OPEN, _I.RING_BESIDE): (_P._hold_and_probe, _S.OPEN),
    (_S.OPEN, _I.ALIVE): (_P._drop_others, _S.OPEN),
    (_S.OPEN, _I.SILENT): (_P._drop_silent, _S.BROKEN),
    (_S.OPEN, _I.SAY): (_P._say, _S.OPEN),
    (_S.OPEN, _I.MODE): (_P._change_mode, _S.OPEN),
    (_S.OPEN, _I.PASS): (_P._pass_turn, _S.OPEN),
    (_S.OPEN, _I.HEAR): (_P._text_received, _S.OPEN),
    (_S.OPEN, _I.WAIT): (_P._greet, _S.OPEN),
    (_S.OPEN, _I.LEAVE): (_P._leave, _S.CLOSED),
    (_S.OPEN, _I.LEFT): (_P._end, _S.CLOSED),
    (_S.OPEN, _I.ONE_LOST): (_P._nothing, _S.OPEN),
    (_S.OPEN, _I.LOST): (_P._end, _S.CLOSED),
    (_S.OPEN, _I.BREAK): (_P._break, _S.BROKEN),
    (_S.BROKEN, _I.ASK): (_P._ask, _S.BROKEN),
    (_S.BROKEN, _I.MOVE): (_P._move_call, _S.BROKEN),
    (_S.BROKEN, _I.ANSWER): (_P._resume_answered, _S.OPEN),
    (_S.BROKEN, _I.OUTDATED): (_P._redial_outdated, _S.BROKEN),
    (_S.BROKEN, _I.REFUSE): (_P._end, _S.CLOSED),
    (_S.BROKEN, _I.DENY): (_P._redial, _S.BROKEN),
    (_S.BROKEN, _I.NO_ANSWER): (_P._redial, _S.BROKEN),
    (_S.BROKEN, _I.CALL_LOST): (_P._redial_lost, _S.BROKEN),
    (_S.BROKEN, _I.RING): (_P._resume_call, _S.OPEN),
    (_S.BROKEN, _I.RING_CROSSED): (_P._hold, _S.BROKEN),
    (_S.BROKEN, _I.SAY): (_P._say, _S.BROKEN),
    (_S.BROKEN, _I.MODE): (_P._change_mode, _S.BROKEN),
    (_S.BROKEN, _I.PASS): (_P._pass_turn, _S.BROKEN),
    (_S.BROKEN, _I.LEAVE): (_P._leave, _S.CLOSED),
    (_S.BROKEN, _I.LEFT): (_P._end, _S.CLOSED),
    (_S.BROKEN, _I.GIVE_UP): (_P._end, _S.CLOSED),
}
"""Each input that counts in a state, with its handler and the state after it.

A held call is fed as RING once it is needed, so SILENT and BREAK may end in `open`.
"""
