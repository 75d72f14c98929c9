"""What every conversation has: a place in `TABLE`, a manner, a floor, and words that wait.

A session knows no bytes, no clock and no socket: it is told what happened and answers with effects.
It outlives its links. `plain_session` is for people who speak in the open, `secure_session` for those
inside TLS.
"""

from __future__ import annotations

from collections import deque

from chatproto.session.capabilities import Capabilities
from chatproto.session.effects import (
    Effect,
    SessionEnded,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.session.floor import Floor, TurnHolder
from chatproto.session.table import REFUSALS, TABLE, SessionInput, SessionState
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.reasons import Cause, Reason

YOU_LEFT, THEY_LEFT = Cause(Reason.YOU_LEFT), Cause(Reason.PEER_LEFT)
"""The ends by a farewell, ours and theirs."""


class PeerSession:
    """A conversation with one person.

    `half`: take turns even where the manner does not ask it. What our own side asks for raises
    LocalError with one sentence if the table has no such pair; what comes too late from the other
    side is nothing.
    """

    def __init__(
        self, manner: Capabilities, *, half: bool = False, limits: Limits = DEFAULTS
    ) -> None:
        self.dialect = manner
        self.state = SessionState.NEW
        self.waiting: deque[str] = deque()
        self._half = half
        self._limits = limits
        self.floor = self._new_floor(mine=True)

    @property
    def half(self) -> bool:
        """Whether turns are wanted where the manner does not ask for them."""
        return self._half

    @property
    def unsent(self) -> int:
        """How many messages wait here."""
        return len(self.waiting)

    # How it follows.

    def _may(self, happened: SessionInput) -> bool:
        after = TABLE.get((self.state, happened))
        if after is None:
            return False
        self.state = after
        return True

    def _enter(self, wanted: SessionInput) -> None:
        if not self._may(wanted):
            raise LocalError(400, REFUSALS.get(wanted, "that cannot be done now"))

    def _refuse_too_many(self) -> None:
        if self.unsent >= self._limits.waiting_messages:
            raise LocalError(
                429,
                f"{self.unsent} messages wait already; this one was not taken",
                Reason.TOO_MANY,
            )

    def _new_floor(self, *, mine: bool) -> Floor:
        turns = self.dialect.takes_turns
        return Floor(
            half=turns or self._half, mine=mine, learns=turns and not self.dialect.strict_turns
        )

    def _passed(self, before: TurnHolder) -> list[Effect]:
        return [TurnPassed(self.floor.turn)] if self.floor.turn is not before else []

    def _over(self, closing: list[Effect], reason: str, left: bool) -> list[Effect]:
        """The end: how the links are closed, what was not said, and why it is over."""
        unsaid = [Unsaid(text, reason) for text in self.waiting]
        self.waiting.clear()
        return [StopDialling(), *closing, *unsaid, SessionEnded(reason, left)]
