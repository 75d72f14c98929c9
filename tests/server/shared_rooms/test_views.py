"""A room of several servers, as one of them sees it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.effects import LineSent, Spread
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.room import Room
from chatproto.rooms.shared import OwnNode, RoomCopy, RoomSeat, RoomState
from chatproto.server.room_delivery import AT_ONCE, RoomDelivery
from chatproto.server.shared_rooms.views import RoomViews
from chatproto.server.work_queue import WorkQueue
from chatproto.wire import bcp2_rooms
from tests.contracts.names import key

TEA = "#tea"


class Connections(dict[Any, Any]):
    """Connections that count how often one is looked up."""

    looked_up = 0

    def get(self, member: Any, other: Any = None) -> Any:
        self.looked_up += 1
        return super().get(member, other)


class Connection:
    """A connection that keeps what it is sent."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.got.append(data)


class RoomViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.views = RoomViews(OwnNode(lambda: "here"))
        self.delivery = RoomDelivery(self.clock, turns=WorkQueue(self.clock))
        self.connections = self.delivery.connections = Connections()

    def room(self, here: int, elsewhere: int) -> Room:
        """Make the view of a room with so many members at this server, and at another."""
        seats = {}
        for number in range(here):
            client = ClientConnection(key(number), "192.0.2.1", 4000, number=number + 1)
            asker = self.views.asker(client)
            asker.client_id = f"here{number}"
            asker.joining[TEA] = bcp2_rooms.Join(1, TEA)
            seats[f"here{number}"] = self.views.seat(client)
            self.connections[client] = Connection()
        for number in range(elsewhere):
            seats[f"away{number}"] = RoomSeat("there", number + 1, key(500 + number), "192.0.2.2")
        state = RoomState(RoomPolicy(TEA, key(0), version=1), 1, 1, seats, {}, ())
        return self.views.add(RoomCopy(state))

    def say(self, room: Room) -> None:
        self.delivery.apply([LineSent(room, 2, "away0", 1.0, "hello", None, 0)])
        self.clock.advance(0)

    def test_lines_need_no_lookup_of_remote_members(self) -> None:
        room = self.room(3, 20)
        self.say(room)
        joined = bcp2_rooms.Joined(TEA, "away20", "member")
        self.delivery.apply([Spread(room, joined, None, plain=True)])
        self.assertEqual(self.connections.looked_up, 6)
        self.assertEqual([len(one.got) for one in self.connections.values()], [2, 2, 2])

    def test_room_size_counts_local_members(self) -> None:
        room = self.room(2, AT_ONCE)
        self.say(room)
        self.assertEqual([len(one.got) for one in self.connections.values()], [1, 1])

    def test_moved_member_is_no_longer_local(self) -> None:
        room = self.room(2, 1)
        seat = RoomSeat("there", 9, key(0), "192.0.2.2")
        self.views.sit(room, "here0", seat)
        self.assertEqual([*room.here], ["here0", "here1"])  # until its connection ends
        [client] = [one for one in self.views.askers if one.number == 1]
        self.views.remove(client)
        self.views.sit(room, "here0", seat)
        self.assertEqual([*room.here], ["here1"])
        self.assertEqual([*room.members], ["here0", "here1", "away0"])
        room.remove("here1")
        room.remove("away0")
        self.assertEqual((len(room.here), [*room.members]), (0, ["here0"]))

    def test_client_without_a_local_connection_is_remote(self) -> None:
        room = self.room(1, 0)
        self.views.sit(room, "ghost", RoomSeat("here", 99, key(7), "192.0.2.3"))
        self.assertEqual([*room.here], ["here0"])
