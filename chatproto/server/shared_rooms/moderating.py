"""Moderate shared rooms: decide on the copy, commit, and decide again if the room has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.effects import TellMember
from chatproto.rooms.moderation import (
    Actor,
    Decision,
    Moderation,
    TargetClient,
    find_target,
    ousted,
)
from chatproto.rooms.room import Room
from chatproto.rooms.shared import RoomCopy, RoomSeat
from chatproto.rooms.shared_store import Conflict
from chatproto.server.shared_rooms.presence import TRIES, RoomPresence
from chatproto.server.shared_rooms.views import RoomsContext
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError

LookUp = Callable[[str, str], Awaitable[tuple[str | None, bool]]]


class Moderating:
    """Answers requests of moderators.

    Args: look_up: returns the key that owns an id, or None, and whether the id is visible to a key. tell:
    sends a message to a client at any server.
    """

    def __init__(
        self,
        context: RoomsContext,
        presence: RoomPresence,
        look_up: LookUp,
        tell: Callable[[str, Bcp2Message], None],
    ) -> None:
        self._context = context
        self._views = context.views
        self._presence = presence
        self._rules = Moderation(context.limits)
        self._look_up = look_up
        self._tell = tell

    async def moderate(
        self, message: Bcp2Message, name: str, actor: Actor, member: ClientConnection | None
    ) -> Bcp2Message:
        """Carry out a moderation request of `member`, or of the operator; return the answer.

        Raises RemoteError.
        """
        for _ in range(TRIES):
            room, copy = self._views.rooms.get(name), self._views.copies.get(name)
            if room is None or copy is None:
                raise RemoteError(404, "not in that room")
            now = self._context.now()
            target = await self._target(getattr(message, "peer_id", ""), room, actor)
            decision = self._rules.decide(message, copy.policy, actor, target, now)
            gone, last = self._ousted(decision, room, copy, actor), 0
            if decision.news is not None or decision.policy is not copy.policy:
                try:
                    news = self._news(decision, member)
                    by = self._place(copy, actor, member) if member is not None else None
                    event, last = await self._context.store.change(
                        copy, decision.policy, news, now, by, gone, _reason(decision)
                    )
                except Conflict:
                    await self._context.watch.refresh(name)
                    continue
                await self._context.watch.reached(name, event)
            if member is not None:
                self._context.delivery.apply([TellMember(member, decision.ack)])
            if decision.invited:
                self._tell(decision.invited, bcp2_rooms.Invited(name, actor.client_id))
            if gone or decision.ban is not None:
                await self._eject(name, decision, actor, gone, last)
            return decision.ack
        raise RemoteError(503, "the room changes all the time")

    def _place(
        self, copy: RoomCopy, actor: Actor, member: ClientConnection
    ) -> tuple[str, RoomSeat]:
        """Return the place of a moderator. Raises RemoteError 503 if another connection has it by now.

        A request at a suspended server is therefore not carried out after later ones at another server.
        """
        asker = self._views.askers.get(member)
        seat = self._views.place(copy, asker) if asker is not None else None
        if seat is None:
            raise RemoteError(503, "not in the room with this connection just now")
        return actor.client_id, seat

    async def _target(self, named: str, room: Room, actor: Actor) -> TargetClient:
        """Look up the client that a request names. Raises StoreTrouble."""
        owner, sees = None, True
        if named and named not in room.members:
            owner, sees = await self._look_up(named, actor.key)
        return find_target(named, room, actor, lambda _: owner, lambda *_: sees)

    def _ousted(
        self, decision: Decision, room: Room, copy: RoomCopy, actor: Actor
    ) -> list[tuple[str, RoomSeat]]:
        """Return the members that a decision removes, with their places."""
        gone = ousted(decision, room, decision.policy, actor, self._context.now())
        return [(one, copy.members[one]) for one in gone if one in copy.members]

    async def _eject(
        self,
        name: str,
        decision: Decision,
        actor: Actor,
        gone: list[tuple[str, RoomSeat]],
        last: int,
    ) -> None:
        """Remove members that joined during the decision, after `gone` have left with the event `last`.

        The new policy applies to all later joins. The request has been answered. If this fails, each server
        removes its banned members at its next beat.
        """
        with suppress(RemoteError):
            await self._context.watch.reached(name, last)
            if decision.ban is not None:
                await self._context.watch.refresh(name)
            room, copy = self._views.rooms.get(name), self._views.copies.get(name)
            if room is None or copy is None:
                return
            late = [one for one in self._ousted(decision, room, copy, actor) if one not in gone]
            if late:
                await self._presence.remove(name, late, _reason(decision))

    def _news(self, decision: Decision, member: ClientConnection | None) -> Any:
        """Return the news of a decision as JSON values, with the connection that does not receive them."""
        news = decision.news
        if news is None:
            return None
        return [
            *(self._views.node, member.number if member is not None else 0),
            *(news.what, news.sender, news.peer_id, news.key, news.address, news.until, news.text),
        ]


def _reason(decision: Decision) -> str:
    """Return the reason in PARTED for members that a decision removes."""
    return "kicked" if decision.ban is None else "banned"
