"""Admit clients of this server to shared rooms, and create rooms."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.effects import TellMember
from chatproto.rooms.guard import RoomGuard
from chatproto.rooms.policy import RoomPolicy, hashed
from chatproto.rooms.room import LOBBY
from chatproto.rooms.shared import RoomCopy
from chatproto.server.shared_rooms.events import RoomEvents
from chatproto.server.shared_rooms.presence import TRIES, RoomPresence
from chatproto.server.shared_rooms.views import Asker, RemoteMember, RoomsContext
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError, Unreadable

EXAMINED = 64
"""Unused rooms that are examined to find one that can be removed."""
UNMADE = 60.0
"""Seconds after which a reservation expires if its room was not created: its request has ended."""


class Joining:
    """Answers JOIN.

    Args: guard: rate limits of new rooms and wrong keys, by the clock of this server. tell: sends a message
    to a client at any server.
    """

    def __init__(
        self,
        context: RoomsContext,
        presence: RoomPresence,
        events: RoomEvents,
        guard: RoomGuard,
        tell: Callable[[str, Bcp2Message], None],
    ) -> None:
        self._context = context
        self._views = context.views
        self._presence = presence
        self._events = events
        self._guard = guard
        self._tell = tell

    async def join(self, message: bcp2_rooms.Join, asker: Asker, client_id: str) -> None:
        """Add `asker` to a room; it is answered when the event is received. Raises RemoteError."""
        name = message.room
        if name not in asker.rooms and len(asker.rooms) >= self._context.limits.rooms_per_client:
            raise RemoteError(413, "too many rooms")
        async with self._presence.using(name):
            asker.joining[name] = message
            try:
                await self._enter(message, asker, client_id)
            finally:
                asker.joining.pop(name, None)

    async def _enter(self, message: bcp2_rooms.Join, asker: Asker, client_id: str) -> None:
        name, client, seat = message.room, asker.client, self._views.seat(asker.client)
        for _ in range(TRIES):
            copy = await self._opened(message, asker)
            if asker.gone:
                return
            if client.client_id != client_id:
                # A newer connection has registered the id, and may be in the room.
                raise RemoteError(401, "register first")
            self._check_secret(copy, message, asker)
            host, secret, now = client.host, message.secret, self._context.now()
            copy.policy.check_entry(client_id, client.key, host, secret, now)
            if self._views.rooms[name].has_plain_like(client_id):
                raise RemoteError(409, "somebody in bare text has that name")
            if await self._entered(copy, asker, client_id):
                if asker.gone:
                    await self._presence.remove(name, [(client_id, seat)], "")
                    return
                room = self._views.rooms[name]
                if room.here.get(client_id) is client:
                    self._events.answer_join(asker, room, copy)
                if name not in asker.joining:
                    return
                # It was removed again before this server received its event.
        raise RemoteError(503, "the room changes all the time")

    async def _entered(self, copy: RoomCopy, asker: Asker, client_id: str) -> bool:
        """Add a client to a room; return False if the room has changed. Raises RemoteError.

        A client that receives an error must not stay in the room, even if the store has added it.
        """
        name = copy.policy.name
        try:
            return await self._presence.enter(copy, client_id, self._views.seat(asker.client))
        except RemoteError:
            self._presence.doubt(name)
            if name in asker.joining:
                raise
            return True  # the event was received, but not the reply: JOIN is answered

    async def _opened(self, message: bcp2_rooms.Join, asker: Asker) -> RoomCopy:
        """Watch the room that `message` names; create it if there is none."""
        name, client, now = message.room, asker.client, self._context.now()
        if name == LOBBY:
            return await self._presence.lobby()
        found = await self._presence.found(name)
        if found is not None:
            return found
        self._guard.count_new(client.host, self._context.clock.seconds())
        await self._reserve(client.key, name, now)
        if await self._context.store.count() >= self._context.limits.rooms:
            await self._make_room(client.key, now)
        secret = hashed(name, message.secret)
        return await self._presence.created(
            RoomPolicy(name, client.key, secret=secret, used=now, version=1), now
        )

    async def _reserve(self, key: str, name: str, now: float) -> None:
        """Reserve one of the rooms that `key` may own. Raises RemoteError 413 if it has that many.

        A reservation expires after a minute if its room was not created: the request was refused, or its
        server has ended.
        """
        store, most = self._context.store, self._context.limits.rooms_per_owner
        if await store.reserve(key, name, most, now):
            return
        await store.release(key, now - UNMADE)
        if not await store.reserve(key, name, most, now):
            raise RemoteError(413, "too many rooms of one key")

    async def _make_room(self, key: str, now: float) -> None:
        """Remove an unused room that `key` owns, or that has no stored lines.

        Raises RemoteError 503 if there is none: rooms of other owners with a history are preserved.
        """
        for name in await self._context.store.unused(now + 1.0, EXAMINED):
            if name == LOBBY:
                continue
            try:
                state, _ = await self._context.store.read(name)
            except Unreadable:
                continue
            store, others = self._context.store, state.policy.owner != key
            is_needed = others and (await store.page(name, None, None, 1, 1)).lines
            if not is_needed and await store.forget(state.policy):
                return
        raise RemoteError(503, "too many rooms")

    def _check_secret(self, copy: RoomCopy, message: bcp2_rooms.Join, asker: Asker) -> None:
        """Count wrong room keys; notify the owner and the ops of too many. Raises Later."""
        client, times = asker.client, (self._context.clock.seconds(), self._context.now())
        wait = self._guard.check_secret(
            copy.policy, client.key, client.host, message.secret, *times
        )
        if not wait:
            return
        until = date_of(Wall(self._context.now() + wait))
        news = bcp2_rooms.Changed(copy.policy.name, "ban", key=client.key, until=until)
        for one in self._views.rooms[copy.policy.name].keepers(self._context.now()):
            if isinstance(one, RemoteMember):
                self._tell(one.client_id or "", news)
            else:
                self._context.delivery.apply([TellMember(one, news)])
