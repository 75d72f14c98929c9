"""Person in the simulation, with the programs that are started and killed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol, cast

from chatproto.client.app import ServerAccess
from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.client.context import Context
from chatproto.client.events import Event, SessionChanged
from chatproto.client.server.introducers import SecureIntroducer
from chatproto.client.server.server_news import ServerEvents, ServerNews
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import TrustStore
from chatproto.directory.room_client import RoomClient
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.pins import Pin, PinFile, Pins
from chatproto.wire.fields import host_port
from tests.client.typing_person import made
from tests.limits import Limits
from tests.simulation.channel import SimTls
from tests.simulation.hall import HallBooks
from tests.simulation.invariants import Books, hold
from tests.simulation.network import SimNetwork
from tests.simulation.reactor import SimReactor
from tests.simulation.trace import Trace
from tests.stores.memory_ledger import MemoryLedger

LIMITS = Limits(
    connections=100,
    handshake_wait=4.0,
    ping_wait=12.0,
    gone_wait=20.0,
    peer_ping=4.0,
    request_wait=5.0,
    dial_wait=6.0,
    ring_wait=8.0,
    answer_ring=12.0,
    presence_grace=5.0,
    lease=60,
    waiting_messages=12,
    callers=12,
    ringing=3,
    broken_wait=60.0,
    introductions_from=1000,
    introductions_to=1000,
)
"""Waits are short and bounds are low, so that a short time meets them."""
SERVER, PORT = "10.0.0.1", 5555
PEOPLE_PORT = 5000


class Surroundings(Protocol):
    """Parts of the world that a person uses."""

    seed: int
    network: SimNetwork
    trace: Trace
    hall: HallBooks
    peaceful: bool
    left: set[frozenset[str]]

    @property
    def books(self) -> Books: ...
    def new_key(self) -> str: ...
    def tap_of(self, person: Person) -> Callable[[str | None, bytes], None] | None: ...
    def pinned(self, sender: Person, receiver: str) -> bool: ...


class MemoryPins(PinFile):
    """The known keys of somebody, kept as a disk would while programs come and go."""

    def __init__(self) -> None:
        self.path = Path("known_peers")
        self.pins = Pins()

    def put(self, pin: Pin) -> Pin:
        return self.pins.put(pin)

    def ignore(self, one: Any, on: bool) -> None:
        self.pins = self.pins.ignoring(one, on)


def make_client(reactor: SimReactor, person: Person, known: TrustStore, random: Random) -> Any:
    """Build a client; `random` and `person` hold what it is handed."""
    node = made(
        cast(Any, reactor),
        person.settings,
        LIMITS,
        known,
        person.ledger,
        random,
        connect=partial(person.connect, reactor, known, random),
    )
    node.finished.listen(person.finished)
    return node


class Person:
    """Person with a home, in which programs come and go: key, pins and settings stay."""

    def __init__(
        self, world: Surroundings, number: int, name: str, settings: ClientSettings
    ) -> None:
        self.name = name
        self.server = SERVER
        self.host = f"10.0.0.{11 + number}"
        self.settings = settings
        self.key = world.new_key()
        self.pins = MemoryPins()
        self.knew: set[str] = set()  # whose keys they have from the beginning
        self.ledger = MemoryLedger()
        self.node: Any | None = None
        self.lives = 0
        self.ignoring: set[str] = set()  # whose calls they do not take
        self.held: str | None = None  # typed, and not taken yet: nothing more is typed
        self._said, self._pinned = "", False
        self._world = world
        self._reactor: SimReactor | None = None
        self._dead: list[Any] = []  # kept, so that no collector runs their code

    def start(self) -> None:
        """Start the program, if it does not run."""
        if self.node is not None:
            return
        world = self._world
        self.lives += 1
        random = Random(f"{world.seed} {self.name} {self.lives}")
        reactor = self._reactor = SimReactor(world.network, self.host, self.name)
        reactor.tap = world.tap_of(self)
        node = self.node = self._made(reactor, random)
        node.publish.listen(self._told)
        node.hold_input.listen(self._hold_input)
        node.own_addresses.own_port = ("", PEOPLE_PORT)
        factory = PlainPeerFactory(node.plain_calls, cast(Any, reactor), LIMITS)
        reactor.listenTCP(PEOPLE_PORT, factory)
        node.start(self.host, PEOPLE_PORT)

    def _made(self, reactor: SimReactor, random: Random) -> Any:
        """A node that knows its server."""
        known = TrustStore(cast(Any, SimTls(self.key)), self.pins, reactor.seconds)
        return make_client(reactor, self, known, random)

    def kill(self) -> None:
        """`kill -9`."""
        if self.node is not None and self._reactor is not None:
            self._reactor.kill()
            self._dead.append(self.node)
            self.node = None
            if self.held is not None:
                self._world.books.forget(self.held)
                self.held = None
            self._world.books.killed(self.name)
            self._world.hall.killed(self.name)
            self._world.hall.forget(self.name, self.lives)

    def say(self, to: str, text: str, called: str = "") -> None:
        """Type `text` for `to`, who is `called` so here, if the program takes it."""
        if self.node is not None and self.held is None:
            books = self._world.books
            self._said, self._pinned = text, self._world.pinned(self, to)
            books.begin(self.name, to, text, self._pinned)
            self.node.msg(text, called or to)
            books.end(text)

    def reply(self, to: str, text: str, key: str | None) -> None:
        """Type `text` without a name, where what is typed goes to `to`, who has `key`."""
        if self.node is not None and self.held is None:
            books = self._world.books
            self._said, self._pinned = text, False
            books.begin(self.name, to, text)
            books.goes_to(key, text)
            self.node.say(text)
            books.end(text)

    def _hold_input(self, held: bool) -> None:
        """Note that the last text was not taken yet, or now is."""
        self._world.books.held(self._said, held, self._pinned)
        self.held = self._said if held else None

    def finished(self, code: int) -> None:
        """The program ended by itself."""
        self._world.trace.add(self.name, "ends", code)
        self.kill()

    def _told(self, event: Event) -> None:
        self._world.trace.add(self.name, "tells", event)
        if self._world.hall.told(self.name, self.lives, event):
            return
        self._world.books.told(self.name, event)
        if self._world.peaceful and isinstance(event, SessionChanged):
            # Calls that cross, or are made twice, do not break what there is.
            pair = frozenset((self.name, event.id.partition("~")[0].rstrip("?")))
            broken = event.state == "broken" and pair not in self._world.left
            hold(not broken, f"nothing breaks, and yet {event}")

    def connect(
        self,
        reactor: Any,
        known: TrustStore,
        random: Random,
        context: Context,
        events: ServerEvents,
    ) -> ServerAccess:
        """Make the program's side of its server."""
        address = host_port(self.server, PORT)

        def judge(key: str) -> str | None:
            pin = known.file.pins.server(address)
            return None if pin is None or pin.key == key else "another key"

        news = ServerNews(context, events, address)
        server = SecureServer(
            reactor,
            self.server,
            PORT,
            lambda: known.handshake(judge),
            news,
            random.random,
            LIMITS,
            pushed=events.pushed,
            own_port=lambda: ("", PEOPLE_PORT),
        )
        return ServerAccess(SecureIntroducer(server), RoomClient(server, LIMITS))
