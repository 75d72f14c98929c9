"""A conversation in the open: one of the plain dialects, over one connection, two, or one a message."""

from __future__ import annotations

from chatproto.net.clock import EPOCH, Wall
from chatproto.session.capabilities import Capabilities
from chatproto.session.effects import (
    Call,
    Connection,
    Drop,
    Effect,
    Leave,
    Queued,
    Received,
    Ringing,
    SessionOpened,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.session.session import THEY_LEFT, YOU_LEFT, PeerSession
from chatproto.session.table import SessionInput, SessionState
from chatproto.wire.dialects import Dialect
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.reasons import Cause, Reason


class PlainSession(PeerSession):
    """A conversation with one person in a plain dialect.

    A row that `dials_back` has a connection for each message, so that no end of one ends the
    conversation. Nothing is numbered: what was written counts as said.
    """

    def __init__(
        self, manner: Capabilities, *, half: bool = False, limits: Limits = DEFAULTS
    ) -> None:
        super().__init__(manner, half=half, limits=limits)
        self._dialled: list[Connection] = []
        self._accepted: list[Connection] = []
        self._early: list[str] = []
        self._calling_back = False

    @property
    def links(self) -> tuple[Connection, ...]:
        """Every connection of this conversation."""
        return (*self._dialled, *self._accepted)

    # What our own side asks for.

    def call(self) -> list[Effect]:
        """Call them; a call of theirs that rings is taken by it."""
        ringing = self.state is SessionState.RINGING
        self._enter(SessionInput.CALL)
        return self._open() if ringing else []

    def call_back(self) -> list[Effect]:
        """Call them who have called: they may not listen where they speak. What we say waits for it."""
        self._enter(SessionInput.CALL_BACK)
        self._calling_back = True
        return []

    def accept(self) -> list[Effect]:
        """Take their call."""
        self._enter(SessionInput.ACCEPT)
        return self._open()

    def decline(self) -> list[Effect]:
        """Refuse their call, in their own dialect."""
        self._enter(SessionInput.DECLINE)
        return self._end(Cause(Reason.DECLINED), farewell="")

    def ring_out(self) -> list[Effect]:
        """Their call rang too long."""
        self._enter(SessionInput.RING_OUT)
        return self._end(Cause(Reason.MISSED), farewell="")

    def say(self, text: str, at: Wall = EPOCH) -> list[Effect]:
        """Say `text` now, or in its turn. Raises LocalError 429 past `waiting_messages`."""
        self._enter(SessionInput.SAY)
        self._refuse_too_many()
        self.waiting.append(text)
        before = self.floor.turn
        return [*self._speak(), *self._passed(before)] or [Queued(text)]

    def set_half(self, half: bool, at: Wall = EPOCH) -> list[Effect]:
        """Take turns from now on, or no more."""
        self._half = half
        if self.state is not SessionState.OPEN:
            return []
        before = self.floor.turn
        self.floor.set_half(half)
        return [*self._speak(), *self._passed(before)]

    def over(self, at: Wall = EPOCH) -> list[Effect]:
        """Pass the turn without a word, for which no plain dialect has a sign. Raises LocalError 405."""
        raise LocalError(
            405, f"the {self.dialect.name} dialect passes the turn only with a message"
        )

    def leave(self, word: str = "") -> list[Effect]:
        """End the conversation; `word` is what the person typed for it."""
        self._enter(SessionInput.LEAVE)
        return self._end(YOU_LEFT, farewell=word)

    # What happens to us. Too late is nothing.

    def connected(self, link: Connection | None) -> list[Effect]:
        """The connection that we asked for is there; None where each message dials its own."""
        was_open = self.state is SessionState.OPEN
        if not self._may(SessionInput.CONNECT):
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
        return [*call, SessionOpened(), *self._speak(), TurnPassed(self.floor.turn)]

    def unreachable(self, reason: str) -> list[Effect]:
        """No connection is to be had."""
        if not self._may(SessionInput.FAIL):
            return []
        if self.state is SessionState.OPEN:
            self._calling_back = False
            before = self.floor.turn
            return [*self._speak(), *self._passed(before)]
        return self._end(reason)

    def called(self, link: Connection) -> list[Effect]:
        """They call, perhaps while we call them: then it is the yes to our call (it is their turn)."""
        calling = self.state is SessionState.CALLING
        ringing = self.state is SessionState.NEW
        if not self._may(SessionInput.RING):
            return [Drop(link)]
        self._accepted.append(link)
        if calling:
            ours: list[Effect] = [Drop(one) for one in self._dialled]
            self._dialled.clear()
            return [StopDialling(), *ours, *self._open()]
        return [Ringing()] if ringing else []

    def mirror(self, dialect: Dialect, *, calling: bool = False) -> None:
        """Go on in `dialect`, in which they answer our call; or place the call in it (`calling`).

        Only a call can ask for one connection a message.
        """
        if calling or not dialect.dials_back:
            self.dialect = dialect

    def heard(self, text: str) -> list[Effect]:
        """They said something; before their call is taken it is kept, up to one message's length."""
        if not self._may(SessionInput.HEAR):
            return []
        if self.state is SessionState.RINGING:
            self._early.append(text)
            if sum(map(len, self._early)) > self._limits.message:
                self.state = SessionState.CLOSED
                return self._end(
                    Cause(Reason.TOO_LARGE, "they said too much before the call was taken")
                )
            return []
        before = self.floor.turn
        self.floor.heard()
        return [Received(text), *self._speak(), *self._passed(before)]

    def silent(self) -> list[Effect]:
        """They called and say nothing: they may be spoken to."""
        if self.state is not SessionState.OPEN:
            return []
        before = self.floor.turn
        self.floor.take()
        return [*self._speak(), *self._passed(before)]

    def left(self, link: Connection) -> list[Effect]:
        """They said farewell on `link`."""
        return self._end(THEY_LEFT, left=True) if self._may(SessionInput.LEFT) else []

    def lost(self, link: Connection, reason: str, unwritten: tuple[str, ...] = ()) -> list[Effect]:
        """`link` is gone, and with it the messages `unwritten` that had not been written yet."""
        effects: list[Effect] = [Unsaid(text, reason) for text in unwritten]
        for links in (self._dialled, self._accepted):
            if link in links:
                links.remove(link)
        others = self._dialled or self._accepted or self.dialect.dials_back
        if not self._may(SessionInput.LINK_LOST if others else SessionInput.LOST) or others:
            return effects
        return effects + self._end(Cause(Reason.PEER_GONE, reason), left=True)

    # How it follows.

    def _open(self) -> list[Effect]:
        self.floor = self._new_floor(mine=False)
        early, self._early = self._early, []
        for _ in early:
            self.floor.heard()
        heard = [Received(text) for text in early]
        return [SessionOpened(), *heard, *self._speak(), TurnPassed(self.floor.turn)]

    def _speak(self) -> list[Effect]:
        effects: list[Effect] = []
        may = self.state is SessionState.OPEN and not self._calling_back
        while may and self.waiting and self.floor.may_speak:
            effects.append(Speak(self._outward(), self.waiting.popleft()))
            self.floor.said()
        return effects

    def _outward(self) -> Connection | None:
        """The connection to speak on: one we made rather than theirs, which may be one-way."""
        if self.dialect.dials_back:
            return None
        return (self._dialled or self._accepted)[-1]

    def _end(self, reason: str, *, farewell: str | None = None, left: bool = False) -> list[Effect]:
        self._early.clear()
        outward = self._dialled or self._accepted
        if farewell is None or not (self.dialect.dials_back or outward):
            return self._over([Drop(link) for link in self.links], reason, left)
        last = None if self.dialect.dials_back else outward[-1]
        others = [Drop(link) for link in self.links if last is not None and link is not last]
        return self._over([Leave(last, farewell), *others], reason, left)
