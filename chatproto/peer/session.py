"""One conversation as a state machine: `TABLE` says what may happen when, `PeerSession` what then follows.

The session knows no bytes, no clock and no socket: it is told what happened and answers with effects.
It outlives its links: a person may be reached over two one-way connections, or a new one for each message.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from chatproto.peer.effects import (
    Answer,
    Asking,
    Call,
    Drop,
    Effect,
    Ended,
    Heard,
    Kept,
    Leave,
    Link,
    Opened,
    Refuse,
    Ringing,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.peer.floor import Floor, Turn
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import DEFAULTS, Limits


class State(Enum):
    """Where a conversation stands: ASKING, it rings there; RINGING, it rings here."""

    NEW = "new"
    CALLING = "calling"
    ASKING = "asking"
    RINGING = "ringing"
    OPEN = "open"
    CLOSED = "closed"


class Input(Enum):
    """What can happen to a conversation; the value is what the state diagram says."""

    CALL = "we call"
    CALL_BACK = "we call back"
    CONNECT = "our connection is there"
    ASK = "our connection is there, and they must say yes"
    ANSWER = "they accept"
    REFUSE = "they refuse"
    FAIL = "no connection to be had"
    RING = "they call"
    ACCEPT = "we accept"
    DECLINE = "we decline"
    RING_OUT = "nobody answered in time"
    SAY = "we say something"
    HEAR = "they say something"
    LEAVE = "we leave"
    LEFT = "they leave"
    LINK_LOST = "one of several connections ends"
    LOST = "the last connection ends"


TABLE: dict[tuple[State, Input], State] = {
    (State.NEW, Input.CALL): State.CALLING,
    (State.NEW, Input.RING): State.RINGING,
    (State.CALLING, Input.CONNECT): State.OPEN,
    (State.CALLING, Input.ASK): State.ASKING,
    (State.CALLING, Input.RING): State.OPEN,
    (State.CALLING, Input.FAIL): State.CLOSED,
    (State.CALLING, Input.SAY): State.CALLING,
    (State.CALLING, Input.LEAVE): State.CLOSED,
    (State.ASKING, Input.ANSWER): State.OPEN,
    (State.ASKING, Input.REFUSE): State.CLOSED,
    (State.ASKING, Input.RING): State.OPEN,
    (State.ASKING, Input.SAY): State.ASKING,
    (State.ASKING, Input.LEAVE): State.CLOSED,
    (State.ASKING, Input.LEFT): State.CLOSED,
    (State.ASKING, Input.LINK_LOST): State.ASKING,
    (State.ASKING, Input.LOST): State.CLOSED,
    (State.RINGING, Input.RING): State.RINGING,
    (State.RINGING, Input.CALL): State.OPEN,
    (State.RINGING, Input.ACCEPT): State.OPEN,
    (State.RINGING, Input.DECLINE): State.CLOSED,
    (State.RINGING, Input.RING_OUT): State.CLOSED,
    (State.RINGING, Input.SAY): State.RINGING,
    (State.RINGING, Input.HEAR): State.RINGING,
    (State.RINGING, Input.LEAVE): State.CLOSED,
    (State.RINGING, Input.LEFT): State.CLOSED,
    (State.RINGING, Input.LINK_LOST): State.RINGING,
    (State.RINGING, Input.LOST): State.CLOSED,
    (State.OPEN, Input.CALL_BACK): State.OPEN,
    (State.OPEN, Input.CONNECT): State.OPEN,
    (State.OPEN, Input.FAIL): State.OPEN,
    (State.OPEN, Input.RING): State.OPEN,
    (State.OPEN, Input.SAY): State.OPEN,
    (State.OPEN, Input.HEAR): State.OPEN,
    (State.OPEN, Input.LEAVE): State.CLOSED,
    (State.OPEN, Input.LEFT): State.CLOSED,
    (State.OPEN, Input.LINK_LOST): State.OPEN,
    (State.OPEN, Input.LOST): State.CLOSED,
}
"""Every pair that may happen and the state after it. What is not here is refused with a LocalError if
our own side asks for it, and is nothing if it comes from the other side, for whom it may be too late."""

REFUSALS: dict[Input, str] = {
    Input.CALL: "you are talking to them already",
    Input.CALL_BACK: "they have not called",
    Input.ACCEPT: "there is no call to accept",
    Input.DECLINE: "there is no call to decline",
    Input.SAY: "the conversation is over",
    Input.LEAVE: "the conversation is over",
}
"""What our own side is told when the table has no such pair."""


DECLINED, AWAY = 603, 480
"""What a caller who waits for a yes is told instead (protocol section 4)."""
THEY_LEFT = "they left"
"""The reason of an end by the other side's farewell."""


class Manner(Protocol):
    """How somebody is spoken to, as far as a session cares; `wire.dialects.Dialect` is one.

    `asks`: a caller waits for a yes.
    """

    @property
    def name(self) -> str: ...
    @property
    def takes_turns(self) -> bool: ...
    @property
    def strict_turns(self) -> bool: ...
    @property
    def dials_back(self) -> bool: ...
    @property
    def asks(self) -> bool: ...
    @property
    def has_id(self) -> bool: ...
    @property
    def farewells(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Secure:
    """The manner of BCP/2: a caller waits for a yes, and turns are taken only if either wants it."""

    name: str = "bcp/2"
    takes_turns: bool = False
    strict_turns: bool = False
    dials_back: bool = False
    asks: bool = True
    has_id: bool = True
    farewells: frozenset[str] = frozenset()


SECURE = Secure()


class PeerSession:
    """A conversation with one person.

    `dialect` is how they are spoken to; a row that `dials_back` has a connection for each message, so
    that no end of one ends the conversation. `half`: take turns even where the dialect does not ask it.
    """

    def __init__(self, dialect: Manner, *, half: bool = False, limits: Limits = DEFAULTS) -> None:
        self.dialect = dialect
        self.state = State.NEW
        self.waiting: deque[str] = deque()
        self._half = half
        self._limits = limits
        self._dialled: list[Link] = []
        self._accepted: list[Link] = []
        self._early: list[str] = []
        self._calling_back = False
        self.floor = self._new_floor(mine=True)

    # What our own side asks for. Each raises LocalError with one sentence if the table has no such pair.

    def call(self) -> list[Effect]:
        """Call them; a call of theirs that rings is taken by it."""
        ringing = self.state is State.RINGING
        self._enter(Input.CALL)
        return [*self._yes(), *self._open()] if ringing else []

    def call_back(self) -> list[Effect]:
        """Call them who have called: they may not listen where they speak. What we say waits for it."""
        self._enter(Input.CALL_BACK)
        self._calling_back = True
        return []

    def accept(self) -> list[Effect]:
        """Take their call."""
        self._enter(Input.ACCEPT)
        return [*self._yes(), *self._open()]

    def decline(self) -> list[Effect]:
        """Refuse their call, in their own dialect."""
        self._enter(Input.DECLINE)
        return [*self._no(DECLINED), *self._end("declined", farewell="")]

    def ring_out(self) -> list[Effect]:
        """Their call rang too long."""
        self._enter(Input.RING_OUT)
        return [*self._no(AWAY), *self._end("not answered in time", farewell="")]

    def say(self, text: str) -> list[Effect]:
        """Say `text` now, or in its turn. Raises LocalError 429 past `waiting_messages`."""
        self._enter(Input.SAY)
        if len(self.waiting) >= self._limits.waiting_messages:
            raise LocalError(
                429, f"{len(self.waiting)} messages wait already; this one was not taken"
            )
        self.waiting.append(text)
        before = self.floor.turn
        return [*self._speak(), *self._passed(before)] or [Kept(text)]

    def leave(self, word: str = "") -> list[Effect]:
        """End the conversation; `word` is what the person typed for it."""
        self._enter(Input.LEAVE)
        return self._end("you left", farewell=word)

    def set_half(self, half: bool) -> list[Effect]:
        """Take turns from now on, or no more."""
        self._half = half
        if self.state is not State.OPEN:
            return []
        before = self.floor.turn
        self.floor.set_half(half)
        return [*self._speak(), *self._passed(before)]

    # What happens to us. Too late is nothing.

    def asked(self, link: Link) -> list[Effect]:
        """The connection that we asked for is there, and they must say yes: ask them."""
        if not self._may(Input.ASK):
            return [Drop(link)]
        self._dialled.append(link)
        return [Call(link), Asking()]

    def answered(self, half: bool = False) -> list[Effect]:
        """They accept our call; `half`: they want to take turns."""
        if not self._may(Input.ANSWER):
            return []
        self._half = self._half or half
        self.floor = self._new_floor(mine=True)
        return [Opened(), *self._speak(), TurnPassed(self.floor.turn)]

    def refused(self, reason: str) -> list[Effect]:
        """They refuse our call."""
        return self._end(reason) if self._may(Input.REFUSE) else []

    def connected(self, link: Link | None) -> list[Effect]:
        """The connection that we asked for is there; None where each message dials its own."""
        was_open = self.state is State.OPEN
        if not self._may(Input.CONNECT):
            return [Drop(link)] if link is not None else []
        call: list[Effect] = []
        if link is not None:
            self._dialled.append(link)
            call.append(Call(link))
        self._calling_back = False
        if was_open:
            before = self.floor.turn
            return [*call, *self._speak(), *self._passed(before)]
        self.floor = self._new_floor(mine=True)
        return [*call, Opened(), *self._speak(), TurnPassed(self.floor.turn)]

    def unreachable(self, reason: str) -> list[Effect]:
        """No connection is to be had."""
        if not self._may(Input.FAIL):
            return []
        if self.state is State.OPEN:
            self._calling_back = False
            before = self.floor.turn
            return [*self._speak(), *self._passed(before)]
        return self._end(reason)

    def called(self, link: Link, half: bool = False) -> list[Effect]:
        """They call, perhaps while we call them: then it is the yes to our call (it is their turn).

        `half`: they want to take turns.
        """
        calling = self.state in (State.CALLING, State.ASKING)
        ringing = self.state is State.NEW
        if not self._may(Input.RING):
            return [Drop(link)]
        self._accepted.append(link)
        self._half = self._half or half
        if calling:
            ours: list[Effect] = [Drop(one) for one in self._dialled]
            self._dialled.clear()
            return [StopDialling(), *ours, *self._yes(), *self._open()]
        return [Ringing()] if ringing else []

    def heard(self, text: str) -> list[Effect]:
        """They said something; before their call is taken it is kept, up to one message's length."""
        if not self._may(Input.HEAR):
            return []
        if self.state is State.RINGING:
            self._early.append(text)
            if sum(map(len, self._early)) > self._limits.message:
                self.state = State.CLOSED
                return self._end("they said too much before the call was taken")
            return []
        before = self.floor.turn
        self.floor.heard()
        return [Heard(text), *self._speak(), *self._passed(before)]

    def silent(self) -> list[Effect]:
        """They called and say nothing: they may be spoken to."""
        if self.state is not State.OPEN:
            return []
        before = self.floor.turn
        self.floor.take()
        return [*self._speak(), *self._passed(before)]

    def left(self, link: Link) -> list[Effect]:
        """They said farewell on `link`."""
        if not self._may(Input.LEFT):
            return []
        return self._end(THEY_LEFT, left=True)

    def lost(self, link: Link, reason: str, unwritten: tuple[str, ...] = ()) -> list[Effect]:
        """`link` is gone, and with it the messages `unwritten` that had not been written yet."""
        effects: list[Effect] = [Unsaid(text, reason) for text in unwritten]
        for links in (self._dialled, self._accepted):
            if link in links:
                links.remove(link)
        others = self._dialled or self._accepted or self.dialect.dials_back
        if not self._may(Input.LINK_LOST if others else Input.LOST) or others:
            return effects
        return effects + self._end(reason, left=True)

    @property
    def half(self) -> bool:
        """Whether turns are wanted where the dialect does not ask for them."""
        return self._half

    @property
    def links(self) -> tuple[Link, ...]:
        """Every connection of this conversation."""
        return (*self._dialled, *self._accepted)

    # How it follows.

    def _may(self, happened: Input) -> bool:
        after = TABLE.get((self.state, happened))
        if after is None:
            return False
        self.state = after
        return True

    def _enter(self, wanted: Input) -> None:
        if not self._may(wanted):
            raise LocalError(400, REFUSALS.get(wanted, "that cannot be done now"))

    def _new_floor(self, *, mine: bool) -> Floor:
        turns = self.dialect.takes_turns
        return Floor(
            half=turns or self._half, mine=mine, learns=turns and not self.dialect.strict_turns
        )

    def _yes(self) -> list[Effect]:
        return [Answer(self._accepted[-1])] if self.dialect.asks and self._accepted else []

    def _no(self, status: int) -> list[Effect]:
        return [Refuse(link, status) for link in self._accepted] if self.dialect.asks else []

    def _open(self) -> list[Effect]:
        self.floor = self._new_floor(mine=False)
        early, self._early = self._early, []
        for _ in early:
            self.floor.heard()
        heard = [Heard(text) for text in early]
        return [Opened(), *heard, *self._speak(), TurnPassed(self.floor.turn)]

    def _speak(self) -> list[Effect]:
        effects: list[Effect] = []
        may = self.state is State.OPEN and not self._calling_back
        while may and self.waiting and self.floor.may_speak:
            effects.append(Speak(self._outward(), self.waiting.popleft()))
            self.floor.said()
        return effects

    def _passed(self, before: Turn) -> list[Effect]:
        return [TurnPassed(self.floor.turn)] if self.floor.turn is not before else []

    def _outward(self) -> Link | None:
        """The connection to speak on: one we made rather than theirs, which may be one-way."""
        if self.dialect.dials_back:
            return None
        return (self._dialled or self._accepted)[-1]

    def _end(self, reason: str, *, farewell: str | None = None, left: bool = False) -> list[Effect]:
        effects: list[Effect] = [StopDialling()]
        outward = self._dialled or self._accepted
        if farewell is not None and (self.dialect.dials_back or outward):
            effects.append(Leave(None if self.dialect.dials_back else outward[-1], farewell))
            closed = outward[:-1] if not self.dialect.dials_back else []
            others = [*closed, *(self._accepted if outward is self._dialled else [])]
            effects += [Drop(link) for link in others]
        else:
            effects += [Drop(link) for link in self.links]
        effects += [Unsaid(text, reason) for text in self.waiting]
        self.waiting.clear()
        self._early.clear()
        return [*effects, Ended(reason, left)]
