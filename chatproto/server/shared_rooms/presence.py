"""Watch the rooms of this server's clients, and let the clients rejoin after failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.room import LOBBY, Room
from chatproto.rooms.shared import (
    MemberEntered,
    PolicyChanged,
    RoomCopy,
    RoomEvent,
    RoomSeat,
    SpokenBy,
)
from chatproto.rooms.shared_store import Conflict
from chatproto.server.shared_rooms.events import RoomEvents
from chatproto.server.shared_rooms.views import Asker, RoomsContext
from chatproto.wire.errors import RemoteError, StoreTrouble

TRIES = 16
"""Decisions on one request before it is refused, if each conflicts with a change by another server."""
LOBBY_POLICY = RoomPolicy(LOBBY, version=1)


class RoomPresence:
    """Watched rooms. `keeps_lobby`: this server has a port for the raw-text lobby."""

    log = Logger()

    def __init__(self, context: RoomsContext, events: RoomEvents, keeps_lobby: bool) -> None:
        self._context = context
        self._views = context.views
        self._events = events
        self._keeps_lobby = keeps_lobby
        self._uses: Counter[str] = Counter()  # number of running requests by room
        # Rooms in which it is uncertain which clients of this server are members.
        self._doubtful: set[str] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str = "") -> None:
        """Run `work` in the background. The store logs its own failures.

        `name`: room to compare with the store if it fails.
        """
        Deferred.fromCoroutine(work).addErrback(self._failed, name)

    def _failed(self, failure: Failure, name: str) -> None:
        if failure.check(RemoteError) is None:
            self.log.failure("a request about rooms failed", failure)
        elif name:
            self.doubt(name)

    # Watching.

    @asynccontextmanager
    async def using(self, name: str) -> AsyncIterator[None]:
        """Continue to watch a room until the context ends."""
        self._uses[name] += 1
        try:
            yield
        finally:
            self._uses[name] -= 1
            self.unwatch(name)

    async def watched(self, name: str) -> RoomCopy:
        """Watch a room. Raises RemoteError: 404 if there is none, 409 if one has a similar name."""
        copy = await self._context.watch.watch(name, self)
        if self._views.copies.get(name) is not copy:
            self._views.add(copy)
        return copy

    async def created(self, policy: RoomPolicy, now: float) -> RoomCopy:
        """Create a room, unless it exists by now, and watch it."""
        with suppress(Conflict):  # another request has created it just now
            await self._context.store.create(policy, now)
        return await self.watched(policy.name)

    async def found(self, name: str) -> RoomCopy | None:
        """Watch a room; return None if there is none. Raises RemoteError 409 for a similar name."""
        try:
            return await self.watched(name)
        except RemoteError as error:
            if error.status != 404:
                raise
            return None

    async def lobby(self) -> RoomCopy:
        """Watch the lobby; create it if there is none."""
        found = await self.found(LOBBY)
        return found or await self.created(LOBBY_POLICY, self._context.now())

    async def say(self, name: str, copy: RoomCopy, line: tuple[str, float, str, SpokenBy]) -> None:
        """Say a line whose speaker need not be a member of the room. Raises RemoteError."""
        for _ in range(TRIES):
            try:
                policy = copy.policy
                version, kept = policy.version, policy.history
                await self._context.store.say(name, version, kept, [line], copy.last)
                return
            except Conflict:
                await self._context.watch.refresh(name)
        raise RemoteError(503, "the room changes all the time")

    def unwatch(self, name: str) -> None:
        """Stop watching a room if no client of this server is in it or joining it."""
        if self._uses[name] > 0 or (name == LOBBY and self._keeps_lobby):
            return
        del self._uses[name]
        if name in self._views.copies and not self._views.is_used(name):
            self._views.drop(name)
            self._context.watch.forget(name)

    # Joining and leaving.

    def doubt(self, name: str) -> None:
        """Compare, at the next beat, the members of a room with the clients of this server."""
        if name in self._views.copies:
            self._doubtful.add(name)

    def settle_doubts(self) -> None:
        """Correct the members of this server in the rooms that `doubt` has marked."""
        doubtful, self._doubtful = self._doubtful, set()
        for name in sorted(doubtful):
            self.start(self._compare(name), name)

    async def _compare(self, name: str) -> None:
        async with self.using(name):
            copy, room = self._views.copies.get(name), self._views.rooms.get(name)
            if copy is None or room is None:
                return
            for client_id in [one for one in room.here if one in copy.members]:
                if room.here[client_id] not in self._views.askers:
                    self._views.sit(room, client_id, copy.members[client_id])
            for client_id in [one for one in room.here if one not in copy.members]:
                again = self._events.left(room, client_id, "")
                if again is not None:
                    await self._enter_again(name, *again)
            stays = self._views.plain.items() if name == LOBBY else ()
            for client_id in [one for one, there in stays if there and one not in copy.members]:
                await self._enter_again(name, client_id, self._views.plain_seat())
            mine = [pair for pair in copy.members.items() if self._views.is_own(pair[1].node)]
            banned = [pair for pair in mine if self._is_banned(copy, *pair)]
            if banned:
                await self.remove(name, banned, "banned")
            gone = [pair for pair in mine if pair not in banned and self._is_unwanted(name, *pair)]
            if gone:
                await self.remove(name, gone, "")

    async def enter(self, copy: RoomCopy, client_id: str, seat: RoomSeat) -> bool:
        """Add a member to a room, in the place that its id has in `copy`.

        Returns: False if the room has changed, and the caller must decide again.
        """
        name, version = copy.policy.name, copy.policy.version
        former = copy.members.get(client_id)
        try:
            event = await self._context.store.enter(name, version, client_id, seat, former)
        except Conflict:
            await self._context.watch.refresh(name)
            return False
        await self._context.watch.reached(name, event)
        return True

    async def remove(self, name: str, gone: list[tuple[str, RoomSeat]], reason: str) -> None:
        """Remove members, and wait for the events."""
        try:
            left, event = await self._context.store.leave(name, gone, reason, self._context.now())
        except RemoteError:
            self.doubt(name)
            raise
        if left < len(gone):
            self.doubt(name)  # some were removed before, or are members with other connections
        if left and name in self._views.copies:
            with suppress(StoreTrouble):  # no longer watched: no member on this server to tell
                await self._context.watch.reached(name, event)
        self.unwatch(name)

    async def leave(self, asker: Asker, name: str, reason: str) -> None:
        """Remove a client from a room: it leaves, or its connection has ended."""
        asker.leaving.add(name)
        try:
            client_id, copy = asker.client_id or "", self._views.copies.get(name)
            known = self._views.place(copy, asker) if copy is not None else None
            seat = known or self._views.seat(asker.client)
            await self.remove(name, [(client_id, seat)], reason)
            room, copy = self._views.rooms.get(name), self._views.copies.get(name)
            if room is None or copy is None or room.here.get(client_id) is not asker.client:
                return
            if self._views.is_elsewhere(copy, client_id, seat):
                self._views.make_way(room, asker, copy.members[client_id])
            else:
                self._events.left(room, client_id, reason)  # the store had removed it before
            copy = self._views.copies.get(name)
            known = copy.members.get(client_id) if copy is not None else None
            if known is not None and self._is_unwanted(name, client_id, known):
                self.doubt(name)  # it was added again meanwhile
        finally:
            asker.leaving.discard(name)

    async def leave_all(self, asker: Asker, reason: str) -> None:
        """Remove a client from all its rooms. Raises RemoteError at the end if some failed."""
        trouble = None
        for name in tuple(asker.rooms):
            try:
                await self.leave(asker, name, reason)
            except RemoteError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def node_lost(self, node: str) -> None:
        """Remove the clients of an ended server from the watched rooms."""
        for name, copy in tuple(self._views.copies.items()):
            gone = [(one, seat) for one, seat in copy.members.items() if seat.node == node]
            if gone:
                self.start(self.remove(name, gone, ""), name)

    # Called by the watch.

    def happened(self, copy: RoomCopy, event: RoomEvent) -> None:
        """Send an event to the members on this server."""
        name = copy.policy.name
        again = self._events.happened(copy, event)
        if again is not None:
            self.start(self._enter_again(name, *again), name)
        if isinstance(event, PolicyChanged):
            self.doubt(name)  # the server with the ban may end before it has removed all members
        if isinstance(event, MemberEntered) and self._is_unwanted(
            name, event.client_id, event.seat
        ):
            self.doubt(name)

    def _is_unwanted(self, name: str, client_id: str, seat: RoomSeat) -> bool:
        return self._views.is_own(seat.node) and not self._views.is_wanted(name, client_id, seat)

    async def _enter_again(self, name: str, client_id: str, seat: RoomSeat) -> None:
        """Let a member rejoin a room from which it was removed by mistake, unless it is banned now."""
        async with self.using(name):
            for _ in range(TRIES):
                copy = self._views.copies.get(name)
                if copy is None or not self._views.is_wanted(name, client_id, seat):
                    return
                if seat.key and self._views.is_elsewhere(copy, client_id, seat):
                    return
                if self._is_banned(copy, client_id, seat):
                    self._give_up(self._views.rooms[name], client_id)
                    return
                seat = seat._replace(node=self._views.node)
                if await self.enter(copy, client_id, seat):
                    return
            self.doubt(name)

    def lost(self, copy: RoomCopy) -> None:
        """Handle a room that is missing in the store, which was emptied or has lost data.

        The room is created again from the copy, and the clients of this server rejoin it.
        """
        room = self._views.drop(copy.policy.name)
        if room is not None:
            own = set(self._views.own_members(room))
            for client_id in tuple(room.members):
                if self._views.asker_of(room.members[client_id]) not in own:
                    self._events.left(room, client_id, "")
            self.start(self._restore(copy, room))

    async def _restore(self, copy: RoomCopy, room: Room) -> None:
        """Create a lost room again. If another server has created it meanwhile, its policy applies."""
        own = self._views.own_members(room)
        name = room.name
        async with self.using(name):
            try:
                found = await self.created(replace(copy.policy, version=1), self._context.now())
                view = self._views.rooms[name]
                others = view.members.keys() - {asker.client_id for asker in own}
                here = [asker for asker in own if asker.is_in(room)]
                for asker in here:
                    # They receive lines from now on, before the store has them as members.
                    view.add(asker.client_id or "", asker.client)
                    asker.rooms[name] = view
                if view is not room:
                    gone = [one.client_id or "" for one in own if one.gone]
                    self._events.tell_changes(view, here, others, gone)
                for asker in own:
                    await self._take_along(found, view, asker)
                await self._restore_plain(name)
            except RemoteError:
                for asker in own:
                    if asker.is_in(room):
                        self._part(room, asker)
                raise

    async def _take_along(self, copy: RoomCopy, view: Room, asker: Asker) -> None:
        """Let a client rejoin a room that was created again, unless it is banned now."""
        client_id = asker.client_id or ""
        for _ in range(TRIES):
            if not asker.is_in(view) or view.name in asker.leaving:
                return
            seat = self._views.seat(asker.client)
            if self._views.is_elsewhere(copy, client_id, seat):
                return
            if self._is_banned(copy, client_id, seat):
                break
            if await self.enter(copy, client_id, seat):
                return
        self._part(view, asker)

    def _give_up(self, room: Room, client_id: str) -> None:
        """Remove a client of this server from a room that it cannot rejoin."""
        asker = self._views.asker_of(room.members.get(client_id))
        if asker is not None:
            self._part(room, asker)
        else:
            self._views.plain[client_id] = False
            self._events.left(room, client_id, "")

    def _part(self, room: Room, asker: Asker) -> None:
        """Tell a client and the members that it is no longer in a room."""
        asker.leaving.add(room.name)
        self._events.left(room, asker.client_id or "", "")
        asker.leaving.discard(room.name)
        self._events.tell_parted(asker, room.name)

    def _is_banned(self, copy: RoomCopy, client_id: str, seat: RoomSeat) -> bool:
        return copy.policy.holds_back(client_id, seat.key, seat.host, self._context.now())

    async def _restore_plain(self, room: str) -> None:
        """Let the raw-text members of this server rejoin the lobby."""
        if room == LOBBY:
            for name in [one for one, stays in self._views.plain.items() if stays]:
                await self._enter_again(LOBBY, name, self._views.plain_seat())

    def rejoin(self) -> None:
        """Rejoin all rooms under the new name of this server: its lease had expired."""
        for name, copy in tuple(self._views.copies.items()):
            self.start(self._restore(copy, self._views.rooms[name]))
