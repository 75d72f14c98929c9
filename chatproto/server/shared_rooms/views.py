"""Know which clients of this server are in which shared rooms, and what each room looks like to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.effects import TellMember
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.room import Member, Room
from chatproto.rooms.shared import OwnNode, RoomCopy, RoomSeat
from chatproto.rooms.shared_store import SharedRoomStore, SharedRoomWatch
from chatproto.server.room_delivery import RoomDelivery
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import value_class


@value_class
class RemoteMember:
    """A member that is connected to another server."""

    key: str
    host: str
    client_id: str | None


class RoomView(Room):
    """Room of several servers. Its members here are kept beside all, since only they are sent anything."""

    def __init__(self, policy: RoomPolicy) -> None:
        super().__init__(policy)
        self._here: dict[str, Member] = {}
        self.here = self._here

    def put_in(self, client_id: str, member: Member | None) -> None:
        super().put_in(client_id, member)
        if isinstance(member, ClientConnection):
            self._here[client_id] = member
        elif member is not None:
            self._here.pop(client_id, None)  # it has moved to another server

    def put_out(self, client_id: str) -> None:
        super().put_out(client_id)
        self._here.pop(client_id, None)


@dataclass(eq=False, slots=True)
class Asker:
    """A client of this server. `client_id`: the id under which it is in its rooms.

    Args: asked: its requests that wait, in order, each with what fires when it is answered. joining: its
    JOIN for a room, until it is answered. unacknowledged: lines that have not come back, by CSeq. says:
    lines that it has said and that are not answered; settled fires when there are none. gone: its
    connection has ended. leaving: rooms that it leaves as it wants.
    """

    client: ClientConnection
    client_id: str | None = None
    rooms: dict[str, Room] = field(default_factory=dict)
    asked: deque[tuple[Bcp2Message, Deferred[None]]] = field(default_factory=deque)
    joining: dict[str, bcp2_rooms.Join] = field(default_factory=dict)
    unacknowledged: set[int] = field(default_factory=set)
    busy: bool = False
    gone: bool = False
    leaving: set[str] = field(default_factory=set)
    says: int = 0
    settled: Deferred[None] | None = None

    def is_in(self, room: Room) -> bool:
        """Return True if the client, which is connected still, is in `room`."""
        return not self.gone and self.rooms.get(room.name) is room

    def settle(self) -> None:
        """Note that one of its lines is answered."""
        self.says -= 1
        if not self.says and self.settled is not None:
            settled, self.settled = self.settled, None
            settled.callback(None)


class RoomViews:
    """Rooms as the clients of this server see them, and these clients. `node`: name of this server."""

    def __init__(self, node: OwnNode) -> None:
        self._node = node
        self.askers: dict[ClientConnection, Asker] = {}
        self.rooms: dict[str, Room] = {}
        """By name; those that are watched."""
        self.copies: dict[str, RoomCopy] = {}
        """Copy in which each watched room is kept, by its name."""
        self.plain: dict[str, bool] = {}
        """Members of the raw-text lobby at this server, by name; False while one is leaving."""
        self._by_number: dict[int, Asker] = {}

    @property
    def node(self) -> str:
        """Name of this server now."""
        return self._node.name

    def is_own(self, node: str) -> bool:
        """Return True if `node` is this server."""
        return node in self._node

    # Clients.

    def asker(self, client: ClientConnection) -> Asker:
        """Return the asker of a client, a new one if need be."""
        asker = self.askers.get(client)
        if asker is None:
            asker = self.askers[client] = self._by_number[client.number] = Asker(client)
        return asker

    def remove(self, client: ClientConnection) -> Asker | None:
        """Forget a client, and return its asker if it had one."""
        asker = self.askers.pop(client, None)
        if asker is not None:
            del self._by_number[client.number]
            asker.gone = True
        return asker

    def own(self, node: str, number: int) -> Asker | None:
        """Return the asker with that connection, if it is one of this server."""
        return self._by_number.get(number) if node in self._node else None

    def asker_of(self, member: Any) -> Asker | None:
        """Return the asker of a member of a room, if it is a client of this server."""
        return self.askers.get(member) if isinstance(member, ClientConnection) else None

    def seat(self, client: ClientConnection) -> RoomSeat:
        """Return the place of a client in any room."""
        return RoomSeat(self.node, client.number, client.key, client.host)

    def place(self, copy: RoomCopy, asker: Asker) -> RoomSeat | None:
        """Return the place that a client has in a room, perhaps under a former name of this server.

        None if it has none: it was put out by mistake, or has come in with another connection.
        """
        seat = copy.members.get(asker.client_id or "")
        if seat is None or not self.is_own(seat.node) or seat.number != asker.client.number:
            return None
        return seat

    def is_elsewhere(self, copy: RoomCopy, client_id: str, seat: RoomSeat) -> bool:
        """Return True if a client is in a room with another connection than that of `seat`."""
        found = copy.members.get(client_id)
        return found is not None and not (self.is_own(found.node) and found.number == seat.number)

    def plain_seat(self) -> RoomSeat:
        """Return the place of those in bare text in the lobby."""
        return RoomSeat(self.node, 0, "", "")

    # Rooms.

    def inside(self, name: str, asker: Asker) -> Room:
        """Return a room in which `asker` is. Raises RemoteError 404 for others."""
        room = asker.rooms.get(name)
        if room is None or asker.client_id != asker.client.client_id:
            raise RemoteError(404, "not in that room")
        return room

    def add(self, copy: RoomCopy) -> Room:
        """Make the view of a room that is watched from now on."""
        name = copy.policy.name
        room = self.rooms[name] = RoomView(copy.policy)
        self.copies[name] = copy
        for client_id, seat in copy.members.items():
            self.sit(room, client_id, seat)
        return room

    def drop(self, name: str) -> Room | None:
        """Forget a room that is watched no more."""
        self.copies.pop(name, None)
        return self.rooms.pop(name, None)

    def is_used(self, name: str) -> bool:
        """Return True if a client of this server is in a room that is watched, or takes itself for it."""
        copy = self.copies.get(name)
        if copy is None:
            return False
        here = (self.is_own(seat.node) for seat in copy.members.values())
        return bool(self.rooms[name].here) or any(here)

    def is_wanted(self, name: str, client_id: str, seat: RoomSeat) -> bool:
        """Return True if the client of this server with that place in a room is to be in it.

        It is not if its JOIN was answered with an error, or its PART with success, though the store may
        have let it in.
        """
        if not seat.key:
            return bool(self.plain.get(client_id))
        asker = self.own(seat.node, seat.number)
        if asker is None or asker.client_id != client_id:
            return False
        return name in asker.rooms or name in asker.joining

    def sit(self, room: Room, client_id: str, seat: RoomSeat) -> Any:
        """Put a member into a view, and return it.

        A client of this server that another connection has taken the place of stays until its own connection
        ends: that one may be older, and only late.
        """
        asker = self.own(seat.node, seat.number)
        member: Any = RemoteMember(seat.key, seat.host, client_id) if seat.key else None
        if asker is not None and self.is_wanted(room.name, client_id, seat):
            asker.rooms[room.name] = room
            member = asker.client
        elif room.here.get(client_id) in self.askers:
            member = room.here[client_id]
        room.put_in(client_id, member)
        return member

    def make_way(self, room: Room, asker: Asker, seat: RoomSeat) -> None:
        """Show a client with the connection with which it is in a room by now, not that of `asker`."""
        client_id = asker.client_id or ""
        asker.rooms.pop(room.name, None)
        room.put_out(client_id)
        self.sit(room, client_id, seat)

    def own_members(self, room: Room) -> list[Asker]:
        """Return the askers that are in `room`."""
        found = map(self.asker_of, room.here.values())
        return [one for one in found if one is not None and one.is_in(room)]


@value_class
class RoomsContext:
    """Values that every part of the rooms of a server of several uses.

    Args: clock: the reactor, for timers and this server's seconds. now: time of the rooms. delivery:
    sends effects to the clients of this server.
    """

    clock: IReactorTime
    store: SharedRoomStore
    watch: SharedRoomWatch
    views: RoomViews
    delivery: RoomDelivery
    limits: ServerLimits
    now: Callable[[], float]

    def tell(self, asker: Asker, message: Bcp2Message) -> None:
        """Send a message to a client of this server."""
        self.delivery.apply([TellMember(asker.client, message)])
