"""Rooms that several servers share, as one server uses them for its clients.

The server of a client decides its request by the rules (`rooms.policy`, `rooms.moderation`). The store
accepts the change only if the room is unchanged; else the request is decided again. Members are notified when
the change is received as an event, so that all of them receive all changes in one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.answers import asked_page, refusal
from chatproto.rooms.effects import Show
from chatproto.rooms.guard import RoomGuard
from chatproto.rooms.lobby import OPERATOR
from chatproto.rooms.moderation import Actor
from chatproto.rooms.room import LOBBY, Room
from chatproto.rooms.shared import OwnNode, RoomState, SpokenBy
from chatproto.rooms.shared_store import SharedRoomStore, SharedRoomWatch
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.shared_rooms.events import RoomEvents
from chatproto.server.shared_rooms.joining import Joining
from chatproto.server.shared_rooms.lobby import SharedLobby
from chatproto.server.shared_rooms.moderating import LookUp, Moderating
from chatproto.server.shared_rooms.presence import RoomPresence
from chatproto.server.shared_rooms.speaking import Speaking
from chatproto.server.shared_rooms.views import Asker, RoomsContext, RoomViews
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import LINES, Bcp2Message
from chatproto.wire.errors import RemoteError, Unreadable
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import Listed

NO_ONE = SpokenBy("", 0, 0)
SWEPT = 100
"""Rooms with members that one round examines for members of servers that have ended."""


class SharedRooms:
    """Shared rooms of this server's clients.

    Args: delivery: sends effects to the clients of this server; its clock is that of the rooms. node: name
    of this server. look_up: returns the key that owns an id, or None, and whether the id is visible to a
    key. tell: sends a message to a client at any server (id, message). keeps_lobby: this server has a port
    for the raw-text lobby.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: SharedRoomStore,
        watch: SharedRoomWatch,
        limits: ServerLimits,
        node: OwnNode,
        delivery: RoomDelivery,
        look_up: LookUp,
        tell: Callable[[str, Bcp2Message], None],
        keeps_lobby: bool = False,
    ) -> None:
        self._node = node
        self._delivery = delivery
        self._keeps_lobby = keeps_lobby
        self._count = 0
        self._swept = 0
        self._guard = RoomGuard(limits)
        self._views = RoomViews(node)
        self._context = context = RoomsContext(
            *(clock, store, watch, self._views, delivery, limits), delivery.times.monotonic
        )
        events = RoomEvents(context)
        self._presence = presence = RoomPresence(context, events, keeps_lobby)
        self.lobby = SharedLobby(context, presence)
        """Lobby, as used by its port."""
        self._joining = Joining(context, presence, events, self._guard, tell)
        self._speaking = Speaking(context, presence, events, self._refuse)
        self._moderating = Moderating(context, presence, look_up, tell)

    # Requests of connections.

    def ask(self, message: Bcp2Message, client: ClientConnection) -> Deferred[None]:
        """Carry out a request about rooms, after the earlier ones of `client`.

        Fires when it is answered.
        """
        answered: Deferred[None] = Deferred()
        asker = self._views.asker(client)
        asker.asked.append((message, answered))
        if not asker.busy:
            asker.busy = True
            self._presence.start(self._serve(asker))
        return answered

    def answered(self, client: ClientConnection) -> None:
        """Send the SAYACKs that `client` is waiting for, before another answer."""
        self._delivery.answered(client)

    def follow(self, client: ClientConnection) -> None:
        """Remove a client from its rooms if its id has changed."""
        asker = self._views.askers.get(client)
        if asker is not None and asker.client_id not in (None, client.client_id):
            self._delivery.left(client)
            self._presence.start(self._presence.leave_all(asker, ""))

    def connection_lost(self, client: ClientConnection, reason: str = "") -> None:
        """Handle the end of a connection: it leaves its rooms."""
        self._delivery.flush()
        self._delivery.left(client)
        asker = self._views.remove(client)
        if asker is not None:
            asker.asked.clear()
            self._presence.start(self._presence.leave_all(asker, reason))

    async def _serve(self, asker: Asker) -> None:
        while asker.asked:
            message, answered = asker.asked.popleft()
            try:
                if isinstance(message, bcp2_rooms.Say):
                    if asker.client.client_id is None:
                        raise RemoteError(401, "register first")
                    self._speaking.say(message, asker, answered)
                    continue
                await self._settled(asker)
                self._guard.count(
                    asker.client.key, asker.client.host, self._context.clock.seconds()
                )
                await self._answer(message, asker)
            except RemoteError as error:
                await self._settled(asker)
                self._refuse(message, asker, error)
            except Exception:  # a failed request must not stop the next one
                self.log.failure("a request about rooms failed: {message}", message=message)
                self._refuse(message, asker, RemoteError(500))
            answered.callback(None)
        asker.busy = False

    async def _settled(self, asker: Asker) -> None:
        """Wait until all earlier lines are answered: answers are sent in the order of the requests."""
        if asker.says:
            asker.settled = Deferred()
            await asker.settled

    async def _answer(self, message: Bcp2Message, asker: Asker) -> None:
        client, client_id = asker.client, asker.client.client_id
        if client_id is None:
            raise RemoteError(401, "register first")
        if asker.client_id != client_id:
            await self._presence.leave_all(asker, "")
            asker.client_id = client_id
        match message:
            case bcp2_rooms.Join():
                self._node.check(self._context.clock.seconds())
                await self._joining.join(message, asker, client_id)
            case bcp2_rooms.Rooms():
                self._context.tell(asker, await self._list(message, asker))
            case bcp2_rooms.Part(cseq, name):
                self._views.inside(name, asker)
                await self._presence.leave(asker, name, "")
                self._context.tell(asker, bcp2_rooms.PartAck(cseq, name))
            case bcp2_rooms.History(room=name):
                self._views.inside(name, asker)
                self._delivery.apply([await self._page(message, asker)])
            case bcp2_rooms.Names(room=name):
                self._context.tell(asker, self._names(message, self._views.inside(name, asker)))
            case _:
                self._node.check(self._context.clock.seconds())
                room = self._views.inside(getattr(message, "room", ""), asker)
                await self._moderating.moderate(
                    message, room.name, Actor(client_id, client.key), client
                )

    def _refuse(self, message: Bcp2Message, asker: Asker, error: RemoteError) -> None:
        self._context.tell(asker, refusal(message, error))

    # Requests that only read.

    async def _page(self, message: bcp2_rooms.History, asker: Asker) -> Show:
        page = await self._context.store.page(*asked_page(message, self._context.limits))
        ack = bcp2_rooms.HistoryAck(message.cseq, message.room, len(page.lines), page.more)
        return Show(asker.client, page.lines, ack)

    async def _list(self, message: bcp2_rooms.Rooms, asker: Asker) -> Bcp2Message:
        most = min(message.limit or LINES, self._context.limits.info_lines, LINES)
        mine = {*asker.rooms, *await self._context.store.owned(asker.client.key)}
        found = {one for one in mine if one > message.after}
        found.update(await self._context.store.listed(message.after, most + 1))
        names = sorted(found)
        outlines = await self._context.store.outlines(names[:most])
        listed = tuple(Listed(policy.name, count, policy.topic) for policy, count in outlines)
        return bcp2_rooms.RoomsAck(message.cseq, names[most - 1] if names[most:] else "", listed)

    def _names(self, message: bcp2_rooms.Names, room: Room) -> Bcp2Message:
        most = min(message.limit or LINES, self._context.limits.info_lines, LINES)
        members = room.page(message.after, most, self._context.now())
        return bcp2_rooms.NamesAck(message.cseq, room.name, len(room), *members)

    # Requests of the operator.

    def order(self, message: Bcp2Message) -> Deferred[Bcp2Message | None]:
        """Carry out a request of the operator; fire with the answer. Fails with RemoteError."""
        return Deferred.fromCoroutine(self._operate(message))

    async def _operate(self, message: Bcp2Message) -> Bcp2Message | None:
        name = getattr(message, "room", "")
        async with self._presence.using(name):
            copy = await self._presence.watched(name)
            if isinstance(message, bcp2_rooms.Say):
                line = OPERATOR, self._context.now(), message.text, NO_ONE
                await self._presence.say(name, copy, line)
                return None
            return await self._moderating.moderate(message, name, Actor(operator=True), None)

    def lines(self) -> Deferred[Iterator[str]]:
        """Fire with a line for each room, as `RoomSide.lines` does. Fails with RemoteError."""
        return Deferred.fromCoroutine(self._lines())

    async def _lines(self) -> Iterator[str]:
        outlines = await self._context.store.outlines(await self._context.store.names())
        return (
            policy.outline(count)
            for policy, count in outlines
            if count or self._keeps_lobby or policy.name != LOBBY
        )

    def size(self) -> tuple[int, int]:
        """Return the number of rooms at the last beat, and the sum of this server's members in them."""
        stays = sum(len(asker.rooms) for asker in self._views.askers.values())
        return self._count, stays

    # Called by the beats.

    def beat(self, rooms: int) -> None:
        """Handle a beat of this server; `rooms`: number of rooms."""
        self._count = rooms
        self._presence.settle_doubts()
        if LOBBY not in self._views.copies and (self._keeps_lobby or not rooms):
            self._presence.start(self._open_lobby())

    async def _open_lobby(self) -> None:
        async with self._presence.using(LOBBY):
            await self._presence.lobby()

    def node_lost(self, node: str) -> None:
        """Remove the clients of an ended server from the watched rooms."""
        self._presence.node_lost(node)

    def rejoin(self) -> None:
        """Rejoin all rooms under the new name of this server: its lease had expired."""
        self._presence.rejoin()

    def emptied(self) -> None:
        """Read all watched rooms again: the store was emptied or has lost data."""
        self._context.watch.look_again(tuple(self._views.copies))

    # Called periodically.

    async def due(self, is_node: Callable[[str], bool], most: int = SWEPT) -> None:
        """Remove unused rooms, old lines, and members of servers that have ended.

        Lines are examined in the watched rooms, members in `most` of all rooms. `is_node` tells whether a
        server of that name is alive. Raises StoreTrouble.
        """
        now = self._context.now()
        for name in await self._context.store.unused(now - self._context.limits.keep_rooms, most):
            if name != LOBBY and (state := await self._stored(name)) is not None:
                await self._context.store.forget(state.policy)
        for name in tuple(self._views.copies):
            try:
                await self._context.store.expire(
                    name, now - self._context.limits.room_history_age, most
                )
            except Unreadable:
                pass  # the store has logged it; other rooms can be read
        names = await self._context.store.occupied(self._swept, most)
        self._swept = self._swept + len(names) if len(names) == most else 0
        for name in names:
            if name not in self._views.copies:
                state = await self._stored(name)
                members = state.members if state is not None else {}
                gone = [
                    (client_id, seat)
                    for client_id, seat in members.items()
                    if not is_node(seat.node)
                    or (self._views.is_own(seat.node) and name not in self._views.copies)
                ]
                if gone:
                    await self._context.store.leave(name, gone, "", now)

    async def _stored(self, name: str) -> RoomState | None:
        """Return a stored room; None if there is none, or it cannot be read. Raises StoreTrouble."""
        try:
            return (await self._context.store.read(name))[0]
        except Unreadable:
            return None  # the store has logged it
        except RemoteError as error:
            if error.status not in (404, 409):
                raise
            await self._context.store.skip(name)
            return None
