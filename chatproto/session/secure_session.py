"""A conversation inside TLS: it is asked for and taken, it survives its connections, it ends.

What is said in it is `exchange`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from chatproto.net.clock import EPOCH, Wall
from chatproto.session.capabilities import SECURE
from chatproto.session.delivery import Delivery, Exchange
from chatproto.session.effects import (
    AcceptCall,
    Broken,
    Connection,
    Drop,
    Effect,
    Leave,
    Opening,
    PeerRinging,
    ProbeConnection,
    Queued,
    Redial,
    Refuse,
    Resumed,
    Ringing,
    SendChat,
    SessionOpened,
    StopDialling,
    Unsaid,
)
from chatproto.session.ledger import MSG, StreamEntry
from chatproto.session.peer_messages import NOT_A_PERSON
from chatproto.session.session import THEY_LEFT, YOU_LEFT, PeerSession
from chatproto.session.table import SessionInput, SessionState
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.reasons import Cause, Reason, status_line

DECLINED, AWAY, OTHER_KEY = 603, 480, 403
FOR_GOOD = (OTHER_KEY, DECLINED)
"""Refusals after which a broken conversation is not tried again."""


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A connection with a CHAT on it, and what that said."""

    link: Connection
    opening: Opening


class SecureSession(PeerSession):
    """A conversation with one key; `exchange` is what is said in it, once the key is known.

    One connection carries it. Of two calls that cross, that of the smaller key's owner stands; a
    call that comes beside a connection in use waits until that is known to be dead or alive, unless it
    is for a better one. Whoever moves to a better one listens no more to the one before, so that what
    they say they have stays true; they leave it when they are answered.
    """

    def __init__(self, *, half: bool = False, limits: Limits = DEFAULTS) -> None:
        super().__init__(SECURE, half=half, limits=limits)
        self.exchange: Exchange | None = None
        self.caller = True  # we made the connection that carries it, or that did
        self._asked: Connection | None = None  # carries our CHAT, not answered yet
        self._ringing: IncomingCall | None = None
        self._held: IncomingCall | None = None  # their CHAT, which may be needed
        self._left: Connection | None = None  # of before a move that is not answered yet
        self._moving = False  # from a connection in use, and nobody was told
        self._told_half = False  # what our CHAT said

    @property
    def post(self) -> Delivery | None:
        """What must not be lost, once the key is known."""
        return self.exchange.post if self.exchange is not None else None

    @property
    def half(self) -> bool:
        """Whether turns are wanted; the exchange knows it from when the key is known."""
        return self._half if self.exchange is None else self.exchange.half

    def attach(self, post: Delivery, at: Wall) -> list[Effect]:
        """Their key is known: what waited is kept there from now on."""
        if self.exchange is not None:
            return []
        self.exchange = Exchange(post, self.floor, self._half)
        effects: list[Effect] = []
        while self.waiting:
            text = self.waiting.popleft()
            try:
                post.say(MSG, text, at)
            except LocalError as error:
                effects.append(Unsaid(text, error.cause))
        return effects

    @property
    def links(self) -> tuple[Connection, ...]:
        """Every connection of this conversation."""
        callers = [one.link for one in (self._ringing, self._held) if one is not None]
        ours = (self.link, self._asked, self._left)
        return (*(one for one in ours if one is not None), *callers)

    @property
    def link(self) -> Connection | None:
        """The connection that carries it."""
        return self.exchange.connection if self.exchange is not None else None

    @property
    def unsent(self) -> int:
        """How many messages have not arrived, as far as is known."""
        return len(self.waiting) + (len(self.post) if self.post is not None else 0)

    # What our own side asks for.

    def call(self) -> list[Effect]:
        """Call them; a call of theirs that rings is taken by it."""
        ringing = self.state is SessionState.RINGING
        self._enter(SessionInput.CALL)
        return self._take_ringing() if ringing else []

    def accept(self) -> list[Effect]:
        """Take their call."""
        self._enter(SessionInput.ACCEPT)
        return self._take_ringing()

    def decline(self) -> list[Effect]:
        """Refuse their call."""
        self._enter(SessionInput.DECLINE)
        return self._no(DECLINED, Cause(Reason.DECLINED))

    def ring_out(self) -> list[Effect]:
        """Their call rang too long."""
        self._enter(SessionInput.RING_OUT)
        return self._no(AWAY, Cause(Reason.MISSED))

    def say(self, text: str, at: Wall = EPOCH) -> list[Effect]:
        """Say `text`, of the moment `at`, now or in its turn.

        Raises LocalError 429 past `waiting_messages`, and LedgerTrouble.
        """
        self._enter(SessionInput.SAY)
        if self.exchange is not None:
            return self.exchange.say(text, at)
        self._refuse_too_many()
        self.waiting.append(text)
        return [Queued(text)]

    def set_half(self, half: bool, at: Wall = EPOCH) -> list[Effect]:
        """Take turns from now on, or no more; they are told. Raises LocalError, LedgerTrouble."""
        if self.exchange is None:
            self._half = half
        elif self.state in (SessionState.OPEN, SessionState.BROKEN):
            return self.exchange.set_half(half, at)
        else:
            self.exchange.half = half
        return []

    def over(self, at: Wall = EPOCH) -> list[Effect]:
        """Pass the turn without a word. Raises LocalError if it is not ours, LedgerTrouble."""
        if self.state not in (SessionState.OPEN, SessionState.BROKEN):
            raise LocalError(400, "there is no conversation yet")
        assert self.exchange is not None
        return self.exchange.over(at)

    def leave(self, word: str = "") -> list[Effect]:
        """End the conversation; what has not arrived stays in the outbox."""
        self._enter(SessionInput.LEAVE)
        link = self.link or self._asked
        return self._end(YOU_LEFT, farewell=[] if link is None else [Leave(link, word)])

    def go_on(self) -> list[Effect]:
        """Something waits that was not said here: say it if it may go out."""
        return self.exchange.go_on() if self.exchange is not None else []

    def unsend(self, id: int) -> list[Effect]:
        """Take a message back. Raises LocalError 404 if nothing of that number waits."""
        if self.exchange is None:
            raise LocalError(404, f"no message {id} waits")
        return self.exchange.unsend(id)

    # What happens to us. Too late is nothing.

    def asked(self, link: Connection) -> list[Effect]:
        """A connection that we made is there: ask them."""
        if self._asked is not None or not self._may(SessionInput.ASK):
            return [Drop(link)]
        return self._ask(link)

    def move(self, link: Connection) -> list[Effect]:
        """A better connection than the one in use, or asked on, is there: ask on it instead."""
        exchange = self.exchange
        if exchange is None or self._left is not None:
            return [Drop(link)]
        if self._asked is not None:
            self._left = self._asked
        elif (
            exchange.connection is not None and self._held is None and self._may(SessionInput.BREAK)
        ):
            self._left, self._moving = exchange.connection, True
            exchange.stop()
        else:
            return [Drop(link)]
        return self._ask(link)

    def answered(self, link: Connection, theirs: Opening) -> list[Effect]:
        """They take our call."""
        exchange = self.exchange
        if exchange is None or link is not self._asked:
            return [Drop(link)]  # we have not called on it
        if exchange.post.beyond(theirs.have):
            # They know a later numbering than we do: ours begins anew, and a new call says so.
            became = exchange.meet(theirs)
            self._asked = None
            why = Cause(Reason.OLD_STATE)
            return [Drop(link), *became, *self._broken(why)]
        was = self.state
        if not self._may(SessionInput.ANSWER):
            return [Drop(link)]
        self._asked, self.caller = None, True
        others = self._forget_others()
        wish = exchange.half
        effects = self._begin(link, theirs, self._told_half, was, [])
        if wish is not self._told_half:
            with suppress(LocalError):  # too much waits: it stays as was agreed
                effects += self.set_half(wish)
        return [*others, *effects]

    def refused(self, link: Connection, status: int) -> list[Effect]:
        """They refuse our call."""
        if link is not self._asked:
            return []
        code = Reason.NOT_ANSWERED if status == AWAY else Reason.of(status)
        reason = Cause(code, status_line(status, "refused"))
        if status in NOT_A_PERSON:
            reason = Cause(Reason.NOT_A_PERSON)
        if status == OTHER_KEY:
            reason = Cause(code, f"{reason}: to them your id is another key's")
        if self.state is SessionState.BROKEN and status not in FOR_GOOD:
            self._asked = None
            return [Drop(link), *self._again()] if self._may(SessionInput.DENY) else []
        return self._end(reason) if self._may(SessionInput.REFUSE) else []

    def no_answer(self) -> list[Effect]:
        """Our call was not answered in time."""
        link = self._asked
        if link is None:
            return []
        if self.state is SessionState.BROKEN or self._held is not None:
            self._asked = None
            return [Drop(link), *self._again()]
        return self._end(Cause(Reason.NOT_ANSWERED)) if self._may(SessionInput.REFUSE) else []

    def unreachable(self, reason: str) -> list[Effect]:
        """No connection is to be had for the first call."""
        calling = self.state is SessionState.CALLING
        return self._end(reason) if calling and self._may(SessionInput.FAIL) else []

    def give_up(self, reason: str) -> list[Effect]:
        """No connection was to be had again."""
        return self._end(reason) if self._may(SessionInput.LOST) else []

    def called(self, link: Connection, theirs: Opening, better: bool = False) -> list[Effect]:
        """They call, perhaps while we call them or talk to them; `post` is needed but when it rings.

        `better`: than the connection in use, which they want to leave for this one.
        """
        caller = IncomingCall(link, theirs)
        match self.state:
            case SessionState.NEW if self._may(SessionInput.RING):
                self._ringing = caller
                return [Ringing()]
            case SessionState.RINGING:
                before, self._ringing = self._ringing, caller
                return [] if before is None else [Drop(before.link)]
            case SessionState.OPEN if better:
                return self._take(caller)
            case SessionState.OPEN:
                return [*self._hold(caller), ProbeConnection(self.link)]
            case SessionState.ASKING | SessionState.BROKEN if (
                self._asked is not None and self._smaller
            ):
                return self._hold(caller)
            case SessionState.CALLING | SessionState.ASKING | SessionState.BROKEN:
                return self._take(caller)
        return [Drop(link)]

    def crossed(self, link: Connection, theirs: Opening) -> list[Effect]:
        """They call on the connection on which we call them: both dialled, and the two dials met.

        The call of the smaller key's owner stands (protocol section 5); it answers nothing.
        """
        if link is not self._asked or self._smaller:
            return []
        return self._take(IncomingCall(link, theirs))

    def alive(self, link: Connection) -> list[Effect]:
        """The connection in use answers: a call beside it was one that crossed ours."""
        return self._forget_others() if link is self.link else []

    def silent(self) -> list[Effect]:
        """The connection in use does not answer."""
        held, link = self._held, self.link
        if held is None or link is None:
            return []
        return [Drop(link), *self._lost_link(Cause(Reason.CONNECTION_LOST, "it does not answer"))]

    def heard(self, link: Connection, entry: StreamEntry) -> list[Effect]:
        """They said something, or passed the turn, or changed the mode. Raises LedgerTrouble."""
        if self.exchange is None or link is not self.exchange.connection:
            return []
        return self.exchange.heard(link, entry)

    def still_says(self, entry: StreamEntry) -> bool:
        """Whether `entry`, which waited for its connection, is still to be written."""
        return self.exchange is not None and self.exchange.still_says(entry)

    def spoke(self, entry: StreamEntry) -> bool:
        """A connection takes `entry` now; whether for the first time. Raises LedgerTrouble."""
        return self.exchange is not None and self.exchange.spoke(entry)

    def arrived(self, id: int) -> list[Effect]:
        """They have everything up to `id`; told also after the end. Raises LedgerTrouble."""
        return self.exchange.arrived(id) if self.exchange is not None else []

    def left(self, link: Connection) -> list[Effect]:
        """They said farewell on `link`."""
        if link not in self.links or (self._held is not None and link is self._held.link):
            return []
        if self.state is SessionState.OPEN and link is not self.link:
            return []
        return self._end(THEY_LEFT, left=True) if self._may(SessionInput.LEFT) else []

    def lost(self, link: Connection, reason: str) -> list[Effect]:
        """`link` is gone."""
        if self._held is not None and link is self._held.link:
            self._held = None
            return []
        if link is self.link:
            return self._lost_link(reason)
        if link is self._left:
            self._left = None
            return []
        if link is self._asked:
            self._asked = None
            if self.state is SessionState.BROKEN or self._held is not None:
                return self._again(failed=False)
            return self._end(reason) if self._may(SessionInput.LOST) else []
        if self._ringing is not None and link is self._ringing.link:
            self._ringing = None
            return (
                self._end(Cause(Reason.PEER_GONE, reason), left=True)
                if self._may(SessionInput.LOST)
                else []
            )
        return []

    # How it follows.

    def _ask(self, link: Connection) -> list[Effect]:
        assert self.exchange is not None
        opening = self.exchange.opening()
        self._asked, self._told_half = link, opening.half
        return [SendChat(link, opening), PeerRinging()]

    @property
    def _smaller(self) -> bool:
        return self.exchange is not None and self.exchange.post.smaller

    def _hold(self, caller: IncomingCall) -> list[Effect]:
        before, self._held = self._held, caller
        return [] if before is None else [Drop(before.link)]

    def _forget_others(self) -> list[Effect]:
        held, self._held = self._held, None
        left, self._left = self._left, None
        others: list[Effect] = [] if left is None else [Drop(left)]
        return others if held is None else [*others, Drop(held.link)]

    def _lost_link(self, reason: str) -> list[Effect]:
        assert self.exchange is not None
        self.exchange.stop()
        return self._broken(reason)

    def _broken(self, reason: str) -> list[Effect]:
        """The conversation goes on, on another connection: theirs if it is there, or a new one."""
        told = [Broken(reason)] if self.state is not SessionState.BROKEN else []
        if not self._may(SessionInput.BREAK):
            return []
        return [*told, *self._again(failed=False)]

    def _again(self, failed: bool = True) -> list[Effect]:
        left, self._left = self._left, None
        held, self._held = self._held, None
        gone: list[Effect] = [] if left is None else [Drop(left)]
        if held is not None:
            return [*gone, *self._take(held)]
        if self.state is not SessionState.BROKEN:
            return gone
        if self._moving:
            # What came on the one that was left is not known here: it is said again on another.
            self._moving, failed = False, False
            gone.append(Broken("it could not be moved to a better way"))
        return [*gone, Redial(failed)]

    def _take_ringing(self) -> list[Effect]:
        caller, self._ringing = self._ringing, None
        assert caller is not None
        return self._answer(caller, SessionState.RINGING)

    def _take(self, caller: IncomingCall) -> list[Effect]:
        was = self.state
        if not self._may(SessionInput.RING):
            return [Drop(caller.link)]
        return self._answer(caller, was)

    def _answer(self, caller: IncomingCall, was: SessionState) -> list[Effect]:
        others = [Drop(link) for link in self.links if link is not caller.link]
        self._asked = self._ringing = self._held = self._left = None
        self.caller = False
        effects = self._begin(caller.link, caller.opening, self.half, was, [StopDialling()])
        return [*others, *effects]

    def _begin(
        self, link: Connection, theirs: Opening, half: bool, was: SessionState, first: list[Effect]
    ) -> list[Effect]:
        """The conversation is open on `link`."""
        exchange = self.exchange
        assert exchange is not None
        became = exchange.meet(theirs)
        yes = [] if self.caller else [AcceptCall(link, exchange.answer(theirs))]
        self._moving = False
        said = exchange.begin(link, theirs, half, mine=self.caller)
        opened = Resumed() if was in (SessionState.BROKEN, SessionState.OPEN) else SessionOpened()
        return [*first, *yes, opened, *became, *said]

    def _no(self, status: int, reason: str) -> list[Effect]:
        caller, self._ringing = self._ringing, None
        return self._end(reason, farewell=[Refuse(caller.link, status)] if caller else [])

    def _end(
        self, reason: str, *, farewell: Sequence[Leave | Refuse] = (), left: bool = False
    ) -> list[Effect]:
        told = [one.connection for one in farewell]
        closing: list[Effect] = [
            *farewell,
            *(Drop(link) for link in self.links if link not in told),
        ]
        self._asked = self._ringing = self._held = self._left = None
        if self.exchange is not None:
            self.exchange.end()
        return self._over(closing, reason, left)
