"""Queue our room messages until they have arrived: a few in flight, input held when full."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred

from chatproto.client.context import Context
from chatproto.client.events import Notice
from chatproto.client.requests import take_part
from chatproto.client.rooms.membership import Membership
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import QUEUE_FULL, ROOM_MESSAGE_TOO_LARGE, Cause, Reason

KEPT = "queued until the server can be reached"
SAYS_UNANSWERED = 8
"""Messages to rooms that are on the way at once."""


class RoomOutbox:
    """`rooms` are those that we are in; of those that we have left it keeps what is not answered yet.

    `context.hold_input` is told to hold all further input, and to let it go on.
    """

    def __init__(self, rooms: Mapping[str, Membership], context: Context) -> None:
        self._rooms = rooms
        self._context = context
        self._left: list[Membership] = []
        self.left = self._left.append
        """Keep a room that we have left, because messages in flight are still answered."""
        self._held: tuple[Membership, str] | None = None

    @property
    def unsent(self) -> int:
        """Number of messages not known to have arrived."""
        held = self._held is not None
        return held + sum(one.unsent for one in self._all())

    def say(self, membership: Membership, text: str) -> None:
        """Say `text` there, as soon as can be. Raises LocalError 413, and 429 while one is held."""
        most = self._context.limits.body_to_server
        if len(text.encode()) > most:
            raise LocalError(413, ROOM_MESSAGE_TOO_LARGE(most=most))
        if self._held is not None:
            raise LocalError(429, QUEUE_FULL(count=membership.unsent))
        membership.parts.append(take_part())
        if membership.unsent >= self._context.limits.waiting_messages:
            self._held = membership, text
            self._context.hold_input(True)
        else:
            membership.waiting.append(text)
            self._pump()
        if membership.is_away:
            self._context.publish(Notice(KEPT, to=membership.name))
            membership.end_kept()

    def go_on(self) -> None:
        """Something was answered, or can be said now: perhaps there is room for more."""
        self._left[:] = [one for one in self._left if one.flying]
        self._pump()
        if self._held is None:
            return
        membership, text = self._held
        if membership.gone:
            self._held = None
            membership.undelivered(text, Cause(Reason.NOT_IN_ROOM))
            self._context.hold_input(False)
        elif membership.unsent < self._context.limits.waiting_messages:
            self._held = None
            membership.waiting.append(text)
            self._pump()
            self._context.hold_input(False)

    def stop(self, reason: str) -> None:
        """Stop sending; report a held message as undelivered."""
        held, self._held = self._held, None
        while self._left:
            self._left.pop(0).stop(reason)
        if held is not None:
            held[0].undelivered(held[1], reason)

    def _pump(self) -> None:
        """Say what waits, few at once: who talks too fast is read later, and an answer is due in time."""
        for membership in tuple(self._rooms.values()):
            while (
                membership.takes() and sum(len(one.flying) for one in self._all()) < SAYS_UNANSWERED
            ):
                Deferred.fromCoroutine(membership.speak())

    def _all(self) -> tuple[Membership, ...]:
        return *self._rooms.values(), *self._left
