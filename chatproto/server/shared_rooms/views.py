"""Views of shared rooms for the clients of this server."""

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
    """Member that is connected to another server."""

    key: str
    host: str
    client_id: str | None


class RoomView(Room):
    """Shared room. `here` has the members of this server, to which messages are sent."""

    def __init__(self, policy: RoomPolicy) -> None:
        super().__init__(policy)
        self._here: dict[str, Member] = {}
        self.here = self._here

    def add(self, client_id: str, member: Member | None) -> None:
        super().add(client_id, member)
        if isinstance(member, ClientConnection):
            self._here[client_id] = member
        elif member is not None:
            self._here.pop(client_id, None)  # it has moved to another server

    def remove(self, client_id: str) -> None:
        super().remove(client_id)
        self._here.pop(client_id, None)


@dataclass(eq=False, slots=True)
class Asker:
    """Client of this server. `client_id`: its id in its rooms.

    Args: asked: queued requests, each with a Deferred for its answer. joining: its JOIN for each room, until
    it is answered. unacknowledged: CSeqs of lines whose events are missing. says: number of its unanswered
    lines; `settled` fires when there are none. gone: its connection has ended. leaving: rooms that it is
    leaving, which it must not rejoin.
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
        """Return True if the client is connected and in `room`."""
        return not self.gone and self.rooms.get(room.name) is room

    def settle(self) -> None:
        """Note that one of its lines is answered."""
        self.says -= 1
        if not self.says and self.settled is not None:
            settled, self.settled = self.settled, None
            settled.callback(None)


class RoomViews:
    """Views of the watched rooms, and the clients in them. `node`: name of this server."""

    def __init__(self, node: OwnNode) -> None:
        self._node = node
        self.askers: dict[ClientConnection, Asker] = {}
        self.rooms: dict[str, Room] = {}
        """Views of watched rooms, by name."""
        self.copies: dict[str, RoomCopy] = {}
        """Copies of watched rooms, by name."""
        self.plain: dict[str, bool] = {}
        """Members of the raw-text lobby at this server, by name; False while one is leaving."""
        self._by_number: dict[int, Asker] = {}

    @property
    def node(self) -> str:
        """Current name of this server."""
        return self._node.name

    def is_own(self, node: str) -> bool:
        """Return True if `node` is a current or former name of this server."""
        return node in self._node

    # Clients.

    def asker(self, client: ClientConnection) -> Asker:
        """Return the asker of a client; create it if there is none."""
        asker = self.askers.get(client)
        if asker is None:
            asker = self.askers[client] = self._by_number[client.number] = Asker(client)
        return asker

    def remove(self, client: ClientConnection) -> Asker | None:
        """Remove a client, and return its asker, or None."""
        asker = self.askers.pop(client, None)
        if asker is not None:
            del self._by_number[client.number]
            asker.gone = True
        return asker

    def own(self, node: str, number: int) -> Asker | None:
        """Return the asker of a connection, if `node` is this server."""
        return self._by_number.get(number) if node in self._node else None

    def asker_of(self, member: Any) -> Asker | None:
        """Return the asker of a member of a room, if it is a client of this server."""
        return self.askers.get(member) if isinstance(member, ClientConnection) else None

    def seat(self, client: ClientConnection) -> RoomSeat:
        """Return the place of a client in any room."""
        return RoomSeat(self.node, client.number, client.key, client.host)

    def place(self, copy: RoomCopy, asker: Asker) -> RoomSeat | None:
        """Return the place of a client in a room, perhaps under a former name of this server.

        None if it has none: it was removed by mistake, or has joined with another connection.
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
        """Return the place of this server's raw-text members in the lobby."""
        return RoomSeat(self.node, 0, "", "")

    # Rooms.

    def inside(self, name: str, asker: Asker) -> Room:
        """Return a room of `asker`. Raises RemoteError 404 if it is not a member."""
        room = asker.rooms.get(name)
        if room is None or asker.client_id != asker.client.client_id:
            raise RemoteError(404, "not in that room")
        return room

    def add(self, copy: RoomCopy) -> Room:
        """Create the view of a newly watched room."""
        name = copy.policy.name
        room = self.rooms[name] = RoomView(copy.policy)
        self.copies[name] = copy
        for client_id, seat in copy.members.items():
            self.sit(room, client_id, seat)
        return room

    def drop(self, name: str) -> Room | None:
        """Remove the view of a room that is no longer watched, and return it."""
        self.copies.pop(name, None)
        return self.rooms.pop(name, None)

    def is_used(self, name: str) -> bool:
        """Return True if a client of this server is in a watched room, by its view or its copy."""
        copy = self.copies.get(name)
        if copy is None:
            return False
        here = (self.is_own(seat.node) for seat in copy.members.values())
        return bool(self.rooms[name].here) or any(here)

    def is_wanted(self, name: str, client_id: str, seat: RoomSeat) -> bool:
        """Return True if the client of this server with that place should be in the room.

        It should not if its JOIN was answered with an error, or its PART with success, although the store
        may have added it.
        """
        if not seat.key:
            return bool(self.plain.get(client_id))
        asker = self.own(seat.node, seat.number)
        if asker is None or asker.client_id != client_id:
            return False
        return name in asker.rooms or name in asker.joining

    def sit(self, room: Room, client_id: str, seat: RoomSeat) -> Any:
        """Add a member to a view, and return it.

        A client of this server whose place another connection has taken stays until its own connection ends:
        the other one may be older, and its request delayed.
        """
        asker = self.own(seat.node, seat.number)
        member: Any = RemoteMember(seat.key, seat.host, client_id) if seat.key else None
        if asker is not None and self.is_wanted(room.name, client_id, seat):
            asker.rooms[room.name] = room
            member = asker.client
        elif room.here.get(client_id) in self.askers:
            member = room.here[client_id]
        room.add(client_id, member)
        return member

    def make_way(self, room: Room, asker: Asker, seat: RoomSeat) -> None:
        """Replace `asker` in a view by the connection at `seat`, with which its client is in the room now."""
        client_id = asker.client_id or ""
        asker.rooms.pop(room.name, None)
        room.remove(client_id)
        self.sit(room, client_id, seat)

    def own_members(self, room: Room) -> list[Asker]:
        """Return the askers that are in `room`."""
        found = map(self.asker_of, room.here.values())
        return [one for one in found if one is not None and one.is_in(room)]


@value_class
class RoomsContext:
    """Values that every part of the shared rooms uses.

    Args: clock: the reactor, for timers and this server's seconds. now: clock of the rooms. delivery:
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
