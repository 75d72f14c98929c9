"""Joined rooms: requests of the user about them, and messages of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred

from chatproto.client.context import Context
from chatproto.client.conversations import Conversations
from chatproto.client.events import RoomChanged
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.requests import Requests
from chatproto.client.rooms.member_keys import MemberKeys
from chatproto.client.rooms.membership import Membership
from chatproto.client.rooms.remembered_rooms import RememberedRooms
from chatproto.client.rooms.room_log import Absence, RoomLog
from chatproto.client.rooms.room_outbox import RoomOutbox
from chatproto.client.server.server_news import ServerEvents
from chatproto.client.strangers import Strangers
from chatproto.client.targets import RoomTarget, Target
from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.directory.room_client import RoomClient
from chatproto.net.clock import Wall
from chatproto.net.dates import moment_of
from chatproto.net.timers import Timers
from chatproto.wire import bcp2_rooms, reasons
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import Changed, JoinAck, Said
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.reasons import Cause, Reason
from chatproto.wire.room_fields import read_room

FOR_NOW = (408, 429, 500, 503)
"""Statuses of refusals that are temporary: the JOIN is retried."""
NOT_IN = {
    403: reasons.MAY_NOT_JOIN,
    409: reasons.ROOM_ID_TAKEN,
    413: reasons.ROOMS_FULL,
    429: reasons.ROOM_REQUESTS,
    503: reasons.ROOM_FULL,
}
"""Why a JOIN is refused, by status."""
NOT_ADMITTED = {
    "banned": reasons.BANNED_FROM,
    "invitation": reasons.NOT_INVITED,
    "key": reasons.ROOM_KEY_WANTED,
}
"""Why a room does not admit us, by the `Why` of the server."""
RETRY_AFTER = 5
"""Seconds before a retry, if the server names none."""
_CHANGES = {
    ("kick", False): "kicked",
    ("ban", False): "banned",
    ("ban", True): "unbanned",
    ("unban", False): "unbanned",
    ("mute", False): "muted",
    ("mute", True): "unmuted",
    ("op", True): "deop",
}
"""Change shown to the user, by `What` of CHANGED and whether its `Until` has passed."""


class JoinedRooms:
    """Joined rooms by name. The remembered rooms are rejoined once the server has registered us.

    Rejoining makes none of them the target of typed lines. A failed request of the user is one `Failed`,
    or LocalError where the method says so.

    Args: connection: asks the server; None if it has no rooms. here: returns the key of the server.
    member_keys: finds members whose id is pinned to another key.
    """

    def __init__(
        self,
        context: Context,
        conversations: Conversations,
        requests: Requests,
        connection: RoomClient | None,
        strangers: Strangers,
        streams: OutboundStreams | None,
        events: ServerEvents,
        remembered: RememberedRooms,
        here: Callable[[], str],
        member_keys: MemberKeys,
    ) -> None:
        self._member_keys = member_keys
        self._tell = context.publish
        self._own_id = context.settings.client_id
        self._context = context
        self._conversations = conversations
        self._requests = requests
        self._connection = connection
        self._strangers = strangers
        self._remembered = remembered
        self._here = here
        self._began = False
        self._all: dict[str, Membership] = {}
        self.outbox = RoomOutbox(self._all, context)
        self._retries = Timers(context.clock)
        self._log: RoomLog | None = None
        if streams is not None:
            self._log = RoomLog(streams.ledger, self._tell)
        conversations.moved.listen(self._moved)
        events.registered.listen(lambda _: self.resume())
        events.lost.listen(self._lost)
        events.pushed.listen(self.pushed)

    @property
    def client(self) -> RoomClient:
        """Room client of the server. Raises LocalError if it has no rooms."""
        if self._connection is None:
            raise LocalError(405, reasons.NO_ROOMS())
        return self._connection

    def rows(self) -> list[dict[str, Any]]:
        """Return the rooms as /who shows them."""
        current = self._conversations.room
        return [
            {"room": name, "count": one.count, "role": one.role, "current": name == current}
            for name, one in self._all.items()
        ]

    def unwritten(self) -> list[tuple[str, str]]:
        """Return the queued messages as pairs of room and text."""
        return [(one.name, text) for one in self._all.values() for text in one.waiting]

    def has(self, room: str) -> bool:
        """Return True if this client is in `room` or joining it."""
        return room in self._all

    def is_inside(self, room: str) -> bool:
        """Return True if the JOIN of `room` was answered on the present connection to the server."""
        return room in self._all and self._all[room].entered

    def is_member(self, room: str, client_id: str) -> bool:
        """Return True if another member with the id `client_id` is known to be in `room`."""
        return room in self._all and client_id in self._all[room].member_ids - {self._own_id}

    def members(self, room: str) -> tuple[str, ...]:
        """Return the other known members of `room`, in the order of their ids."""
        found = self._all[room].member_ids if room in self._all else set()
        return tuple(sorted(found - {self._own_id}))

    # Messages and the current room.

    def named(self, name: str = "") -> Membership:
        """Return the room `name`, or the current one. Raises LocalError."""
        room = _room(name) if name else self._conversations.room
        if not room:
            rooms = ", ".join(sorted(self._all))
            raise LocalError(
                404, reasons.WHICH_OF_ROOMS(rooms=rooms) if rooms else reasons.WHICH_ROOM()
            )
        if room not in self._all:
            raise LocalError(404, reasons.NOT_A_MEMBER(room=room))
        return self._all[room]

    def say(self, text: str, name: str = "") -> None:
        """Send `text` to a room, or queue it. Raises LocalError."""
        self.outbox.say(self.named(name), text)

    def switch(self, name: str) -> None:
        """Make the room `name` the target of typed lines. Raises LocalError."""
        membership = self.named(name)
        if not self._conversations.move_to(RoomTarget(membership.name)):
            self._tell_current(membership.name)

    def _tell_current(self, name: str, member_ids: Iterable[str] | None = None) -> None:
        """Report that typed lines go to the room `name`; `member_ids`: members to list, or None."""
        members = tuple(sorted(member_ids)) if member_ids is not None else None
        count = self._all[name].count or None
        self._tell(RoomChanged(name, "current", members=members, count=count))

    # Join and leave.

    def join(self, name: str, secret: str = "") -> None:
        """Join `name` and make it the current room at once, so that typed lines are queued for it."""
        room = _room(name)
        membership = self._all.get(room)
        if membership is not None:
            self._conversations.swap(RoomTarget(room))
            if membership.entered:
                self._tell_current(room, membership.member_ids)
            else:  # after the pending JOIN
                self._requests.ask("join", lambda: self._join_again(room, secret))
            return
        if len(self._all) >= self._context.limits.rooms_per_client:
            raise LocalError(413, reasons.TOO_MANY_ROOMS(count=len(self._all)))
        membership = self._add(room, secret)
        self._conversations.move_to(RoomTarget(room))
        if not self._requests.ask("join", lambda: self._join(membership)):
            self._drop(membership, reasons.NOT_ASKED())

    async def _join_again(self, room: str, secret: str) -> None:
        if room in self._all:
            self._tell_current(room, self._all[room].member_ids)
        else:
            self.join(room, secret)

    def _add(self, room: str, secret: str, absence: Absence | None = None) -> Membership:
        membership = Membership(
            self._context,
            self.client,
            self.store_message,
            self.settled,
            room,
            secret,
            absence,
            self._member_keys.others,
        )
        self._all[room] = membership
        return membership

    async def _join(self, membership: Membership) -> None:
        try:
            await self.client.ready()
            ack = await membership.enter()
        except ServerRefused as error:
            reason = _not_in(membership, error)
            self._drop(membership, reason)
            raise ServerRefused(reason, error.status, why=error.why) from None
        except (LocalError, ServerUnreachable) as error:
            self._drop(membership, error.cause)
            raise
        self._remembered.entered(self._here(), membership.name, membership.secret)
        self._tell_in(membership, ack)
        await membership.catch_up(ack.last)
        self.settled()

    def part(self, name: str = "") -> None:
        """Leave a room; its queued messages are not sent."""

        async def work() -> None:
            membership = self.named(name)
            self._remembered.left(self._here(), membership.name)
            self._drop(membership, Cause(Reason.YOU_LEFT), own=True)
            if membership.entered:
                await self.client.do(bcp2_rooms.Part, room=membership.name)
            self._tell(RoomChanged(membership.name, "parted", self._own_id, own=True))

        self._requests.ask("part", work)

    # Messages of the server.

    def resume(self) -> None:
        """Rejoin every room after a registration; after the first one, join the remembered rooms."""
        if not self._began and self._connection is not None:
            self._began = True
            for room, secret in self._remembered.at(self._here()).items():
                if room not in self._all and len(self._all) < self._context.limits.rooms_per_client:
                    self._add(room, secret, self._absence(room)).joined = True
        for membership in tuple(self._all.values()):
            if membership.joined and not membership.entering:
                self._enter_again(membership)

    def _absence(self, room: str) -> Absence | None:
        """Return the absence from `room` since its last line in our log; None without such a line."""
        logged = self._log.latest(room) if self._log is not None else ()
        return Absence(logged) if logged else None

    def _moved(self, target: Target) -> None:
        if target.room:
            self._tell_current(target.room)

    def _lost(self, again: bool) -> None:
        """Handle the end of the connection to the server; `again`: it is retried."""
        self._retries.stop()
        for membership in self._all.values():
            membership.lost()
            if again and membership.is_away:
                membership.end_queued()
        if not again:
            self.refused()

    def refused(self) -> None:
        """Drop all rooms, because the connection to the server is not retried."""
        reason = reasons.SERVER_GONE()
        for membership in tuple(self._all.values()):
            joined = membership.joined
            self._drop(membership, reason, uncertain=True)
            if joined:
                self._tell_out(membership, reason)

    def stop(self, reason: str = Cause(Reason.STOPPING)) -> None:
        """Stop sending, and stop retrying."""
        self._retries.stop()
        for membership in tuple(self._all.values()):
            self._forget(membership)
            membership.stop(reason)
        self.outbox.stop(reason)

    def pushed(self, push: Bcp2Message) -> None:
        """Handle a message of the server about a room."""
        match push:
            case bcp2_rooms.Invited(room, sender):
                if not self._strangers.may_invite():
                    return
                self._tell(RoomChanged(room, "invited", self._own_id, by=sender or None, own=True))
                return
        membership = self._all.get(getattr(push, "room", ""))
        if membership is None or not membership.entered:
            return
        match push:
            case Said():
                membership.receive(push)
            case bcp2_rooms.Joined(room, who, role):
                membership.member_entered(who)
                self._tell(RoomChanged(room, "joined", who, count=membership.count, role=role))
                self._member_keys.look(room, (who,))
            case bcp2_rooms.Parted(room, who, reason) if who == self._own_id:
                self._remembered.left(self._here(), room)
                self._drop(membership, Cause(Reason.NOT_IN_ROOM, reason or reasons.PUT_OUT()))
                self._tell_out(membership, reason)
            case bcp2_rooms.Parted(room, who, reason):
                membership.member_left(who)
                count, why = membership.count, reason or None
                self._tell(RoomChanged(room, "parted", who, count=count, reason=why))
            case bcp2_rooms.Changed():
                if push.what == "topic":
                    membership.topic = push.text
                self._tell(_changed(push, self._own_id, self._context.now()))

    # Callbacks of a membership.

    def store_message(self, said: Said) -> None:
        """Log a room message, before it is shown."""
        if self._log is not None:
            self._log.store(said)

    def settled(self) -> None:
        """Send queued messages, because there may be room for more in flight."""
        self.outbox.resume()
        self._context.settled(None)

    # Joining again, and dropping a room.

    def _enter_again(self, membership: Membership) -> None:
        async def work() -> None:
            try:
                ack = await membership.enter()
                self._tell_in(membership, ack)
                await membership.catch_up(ack.last)
            except ServerUnreachable:
                return  # the next connection retries
            except ServerRefused as error:
                if error.status in FOR_NOW:
                    wait = error.retry_after or RETRY_AFTER
                    self._retry(membership, min(wait, self._context.limits.retry_most))
                else:
                    self._remembered.left(self._here(), membership.name)
                    reason = _not_in(membership, error)
                    self._drop(membership, reason, uncertain=True)
                    self._tell_out(membership, reason)
            self.settled()

        Deferred.fromCoroutine(work())

    def _retry(self, membership: Membership, seconds: float) -> None:
        def again() -> None:
            if not membership.gone:
                self._enter_again(membership)

        membership.lost()
        membership.end_queued()
        self._retries.after(membership.name, seconds, again)

    def _tell_in(self, membership: Membership, ack: JoinAck) -> None:
        self._tell(_joined(ack, self._own_id, again=membership.told))
        membership.told = True
        self._member_keys.look(membership.name, (one.id for one in ack.members))

    def _tell_out(self, membership: Membership, reason: str) -> None:
        event = RoomChanged(
            membership.name, "parted", self._own_id, reason=reason or None, own=True
        )
        self._tell(event)

    def _drop(
        self, membership: Membership, reason: str, uncertain: bool = False, own: bool = False
    ) -> None:
        """Forget a room that we are no longer in.

        `uncertain`: it is unknown which of our messages arrived. `own`: the user left it.
        """
        self._forget(membership, own)
        if uncertain:
            membership.stop(reason)
        else:
            membership.leave(reason)
            self.outbox.left(membership)
        self.settled()

    def _forget(self, membership: Membership, own: bool = False) -> None:
        if self._all.get(membership.name) is not membership:
            return
        del self._all[membership.name]
        self._conversations.ended(RoomTarget(membership.name), own)


def _room(name: str) -> str:
    """Return the name of a room as in the protocol; `#` may be omitted. Raises LocalError."""
    try:
        return read_room(name if name.startswith("#") else f"#{name}")
    except RemoteError:
        raise LocalError(400, reasons.BAD_ROOM_NAME()) from None


def _not_in(membership: Membership, error: ServerRefused) -> Cause:
    """Return why the server refused a JOIN."""
    says = NOT_ADMITTED.get(error.why) or NOT_IN.get(error.status or 0)
    if says is reasons.ROOM_KEY_WANTED and membership.secret:
        says = reasons.ROOM_KEY_WRONG
    return says(room=membership.name) if says is not None else Cause(error.reason, str(error))


def _joined(ack: JoinAck, own_id: str, again: bool = False) -> RoomChanged:
    """Return the event for our JOIN; `again`: after a lost connection."""
    return RoomChanged(
        ack.room,
        "joined",
        own_id,
        members=tuple(one.id for one in ack.members),
        count=ack.count,
        role=ack.role,
        text=ack.topic or None,
        own=True,
        again=again or None,
    )


def _changed(push: Changed, own_id: str, now: Wall) -> RoomChanged:
    """Return the event for a change by a member."""
    over = bool(push.until) and moment_of(push.until) <= now
    return RoomChanged(
        push.room,
        _CHANGES.get((push.what, over), push.what),
        push.peer_id or None,
        by=push.sender or None,
        text=push.text if push.what == "topic" else None,
        until=None if over else push.until or None,
        key=push.key or None,
        address=push.address or None,
        reason=push.text or None if push.what == "kick" else None,
        own=push.peer_id == own_id or None,
    )
