"""Queue our room messages until they are confirmed: few in flight, input paused when full."""

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
"""Most unconfirmed messages in flight, over all rooms."""


class RoomOutbox:
    """Outbox of the joined `rooms`, and of rooms just left that have unconfirmed messages.

    `context.hold_input` fires with True to pause all input and with False to resume it.
    """

    def __init__(self, rooms: Mapping[str, Membership], context: Context) -> None:
        self._rooms = rooms
        self._context = context
        self._left: list[Membership] = []
        self.left = self._left.append
        """Keep a room that was left, because its messages in flight are still answered."""
        self._held: tuple[Membership, str] | None = None

    @property
    def unsent(self) -> int:
        """Number of unconfirmed messages."""
        held = self._held is not None
        return held + sum(one.unsent for one in self._all())

    def say(self, membership: Membership, text: str) -> None:
        """Send `text` to the room, or queue it. Raises LocalError 413, and 429 while a line is held."""
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
            membership.end_queued()

    def resume(self) -> None:
        """Send more, because a message was answered or a room was joined; resume input if there is room."""
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
        """Send queued lines, few at once: the server reads fast senders late, and answers time out."""
        for membership in tuple(self._rooms.values()):
            while (
                membership.takes() and sum(len(one.flying) for one in self._all()) < SAYS_UNANSWERED
            ):
                Deferred.fromCoroutine(membership.speak())

    def _all(self) -> tuple[Membership, ...]:
        return *self._rooms.values(), *self._left
