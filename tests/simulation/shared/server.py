"""One server of several in the simulation, and the connections of its clients."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, cast

from twisted.application.internet import TimerService
from twisted.internet.defer import Deferred

from chatproto.directory.registrations import ClientConnection
from chatproto.net.receivers import StrictReceiver
from chatproto.rooms.shared import OwnNode
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.service import EXPIRY_INTERVAL
from chatproto.server.shared_rooms.rooms import SharedRooms
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from tests.simulation.reactor import SimReactor
from tests.simulation.shared.redis_host import HOST, PORT

if TYPE_CHECKING:
    from tests.simulation.shared.world import SharedPerson, SharedWorld

LINGERING = 0.5
"""Seconds until a connection that was replaced has ended."""


class SharedServer:
    """One life of a server. What it is built of is what `cli/sharing.py` puts together."""

    def __init__(self, world: SharedWorld, number: int) -> None:
        self.host = f"10.1.0.{number + 1}"
        self.number = number
        self.visits: dict[ClientConnection, Visit] = {}
        reactor: Any = SimReactor(world.network, self.host, f"server{number}")
        self.reactor = reactor
        limits = world.limits
        url = RedisUrl(f"redis://{HOST}:{PORT}/0")
        client = RedisClient(reactor, url)
        store = RedisRooms(client, 0, limits, world.new_name)
        self.watch = RoomWatch(reactor, url, store)
        self.node = OwnNode(world.new_name)
        delivery = RoomDelivery(reactor, limits)
        delivery.connections = cast(Any, self.visits)
        self.rooms = SharedRooms(
            *(reactor, store, self.watch, limits, self.node, delivery),
            look_up=world.look_up,
            tell=world.tell,
        )
        table = NodeTable(limits.server_lapse)
        self.beats = Beats(
            *(reactor, client, self.watch, limits, self.node, table, [self.rooms]),
            world.clock.seconds,
        )
        care = TimerService(EXPIRY_INTERVAL, self._care)
        care.clock = reactor
        for service in (client, self.watch, self.beats, care):
            service.startService()

    async def _due(self) -> None:
        try:
            await self.rooms.due(self.beats.knows)
        except RemoteError:
            pass  # it is tried again

    def _care(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._due())

    def kill(self) -> None:
        """`kill -9`."""
        self.reactor.kill()
        for visit in self.visits.values():
            visit.open = False


class Visit:
    """Connection of a person to a server, and what is told on it."""

    def __init__(self, world: SharedWorld, person: SharedPerson, server: SharedServer) -> None:
        self.world = world
        self.person = person
        self.server = server
        self.open = True
        self.asked: dict[int, Bcp2Message] = {}
        """Requests without an answer, by CSeq."""
        self.members: set[str] | None = None
        """Members of the room as this client was told of them; None while it is not in it."""
        self.last = 0
        """Number of the last line that it was told, or of the last before it came in."""
        self.client = ClientConnection(person.key, person.host, 4000, client_id=person.name)
        self.client.number = world.next_number()
        self._cseq = count(1)
        self._decoder = StrictReceiver(Sender.SERVER)
        server.visits[self.client] = self

    @property
    def name(self) -> str:
        """Id of the person."""
        return self.person.name

    def ask(self, kind: type[Any], *values: Any, **named: Any) -> None:
        """Send a request."""
        if not self.open:
            return
        cseq = next(self._cseq)
        message = kind(cseq, *values, **named)
        self.asked[cseq] = message
        self.world.trace.add(self.name, "asks", message)
        self.world.books.asked(self, message)
        self.server.rooms.ask(message, self.client)

    def replaced(self) -> None:
        """Lose the id to a newer connection to this server, as its directory does; the end comes soon."""
        self.world.trace.add(self.name, "is replaced")
        self.client.client_id = None
        self.server.reactor.callLater(LINGERING, self.leave)

    def leave(self) -> None:
        """End the connection."""
        if self.open:
            self.open = False
            self.world.trace.add(self.name, "leaves")
            del self.server.visits[self.client]
            self.server.rooms.connection_lost(self.client)

    # What the server sends.

    def say(self, message: Any) -> None:
        self.world.trace.add(self.name, "is told", message)
        self.world.books.told(self, message)

    def send(self, data: bytes) -> None:
        for message in self._decoder.read(data):
            self.say(message)
