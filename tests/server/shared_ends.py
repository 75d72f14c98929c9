"""Several servers over one log in memory, and the connections that they have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.net.receivers import StrictReceiver
from chatproto.server.batches import Batches
from chatproto.server.client_pushes import ClientPushes
from chatproto.server.replica import Missed, Replica
from chatproto.server.replica_snapshot import picture
from chatproto.server.secure_side import SecureSide
from chatproto.server.shared_connections import Answers
from chatproto.server.shared_side import SharedSide
from chatproto.stores.shared import SharedMemory
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Message, Sender
from chatproto.wire.errors import StoreTrouble
from tests.contracts.names import key
from tests.limits import Limits

NOW = 1_000_000.0


class MemoryLog:
    """All lines that were written, with their times. Who reads it is told by `Hall.run`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lines: list[tuple[float, str]] = []
        self.pictures: list[tuple[int, list[str]]] = [(0, [])]
        self.away = False
        self.set_by = 0.0  # by how much the clock that dates its lines is wrong
        self.full = False  # what is there is read, and nothing is written


class Way:
    """One server's way to the log."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.read = 0
        self.cut = False
        self.forgetful = False  # what is written arrives, and the word that it did does not

    @property
    def away(self) -> bool:
        return self.cut or self.log.away

    def append(self, line: str) -> Deferred[Any]:
        if self.away:
            return fail(Failure(StoreTrouble("the log is away")))
        if self.log.full:
            return fail(Failure(StoreTrouble("the log is full")))
        self.log.lines.append((self.log.clock.seconds() + self.log.set_by, line))
        if self.forgetful:
            return fail(Failure(ConnectionError("the connection is broken")))
        return succeed(None)

    def keep(self, lines: Iterator[str]) -> Deferred[int]:
        kept = list(lines)
        self.log.pictures.append((self.read, kept))
        return succeed(sum(map(len, kept)))


class Person:
    """A connection with a key to a server."""

    def __init__(self, server: Server, number: int, name: str, owner: int) -> None:
        self.server = server
        self.visitor = ClientConnection(
            key(owner), f"192.0.2.{owner % 250}", 4000 + owner, number=number
        )
        self.name = name
        self.got: list[Bcp2Message] = []
        self.gone = False
        self._decoder = StrictReceiver(Sender.SERVER)
        server.secure.connections[self.visitor] = cast(Any, self)

    def ask(self, *messages: Bcp2Message) -> None:
        for message in messages:
            self.server.side.take(message, self.visitor, self)

    def say(self, message: Bcp2Message) -> None:
        self.got.append(message)

    def send(self, data: bytes) -> None:
        self.got += cast(Any, self._decoder.read(data))

    def dismiss(self, message: Bcp2Message) -> None:
        self.got.append(message)
        self.leave()

    def go_on(self) -> None: ...

    def leave(self, reason: str = "") -> None:
        if not self.gone:
            self.gone = True
            del self.server.secure.connections[self.visitor]
            self.server.side.gone(self.visitor, reason)

    def of(self, *kinds: type[Any]) -> list[Any]:
        """List the received messages of these kinds."""
        return [one for one in self.got if isinstance(one, kinds)]


class Caller:
    """A connection in plain text."""

    local = False

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.came, self.host, self.port = number, f"198.51.100.{number % 250}", 5000
        self.got: list[Message] = []
        self.closed = False

    def ask(self, *messages: Message) -> None:
        self.server.side.take_plain(self, list(messages))

    def answered(self, answers: Answers) -> None:
        self.got += [answer for _, answer in answers]

    def close(self) -> None:
        self.closed = True
        self.server.side.closed(self)


class Rooms:
    """Rooms that answer only when the test wants it, and write down what they hear."""

    def __init__(self) -> None:
        self.asked: list[tuple[Bcp2Message, str | None, Deferred[None]]] = []
        self.heard: list[tuple[str, ClientConnection]] = []

    def ask(self, message: Bcp2Message, visitor: ClientConnection) -> Deferred[None]:
        answered: Deferred[None] = Deferred()
        self.asked.append((message, visitor.client_id, answered))
        return answered

    def gone(self, visitor: ClientConnection, reason: str = "") -> None:
        self.heard.append((f"gone {reason}", visitor))

    def answered(self, visitor: ClientConnection) -> None:
        self.heard.append(("answered", visitor))

    def follow(self, visitor: ClientConnection) -> None:
        self.heard.append((f"is {visitor.client_id}", visitor))


class Server:
    """One of the servers."""

    def __init__(self, hall: Hall, name: str, rules: str = "rules") -> None:
        self.hall = hall
        self.name = name
        self.killed = False
        self.unfit: list[str] = []
        self.way = Way(hall.log)
        limits = hall.limits
        shared = SharedMemory(limits)
        first = KeyedDirectory(shared.names, shared.registry, str, limits)
        self.rooms = Rooms()
        self.secure = SecureSide(cast(Any, None), first)
        batches = Batches(hall.clock, self.way)
        self.pushes = ClientPushes(self.secure, batches.add, limits)
        self.replica = Replica(
            *(shared, self.secure, self.rooms, self.pushes, limits),
            *(lambda: f"call{name}", self._tickets),
        )
        self.replica.advertise((f"{name}.example", 5555))
        lives = (f"{name}{life}" for life in count(1))
        self.side = SharedSide(
            *(hall.clock, self.way, batches, self.replica, self.rooms, self.pushes, rules),
            *(lambda: next(lives), limits, self.unfit.append),
        )
        self.side.allow_snapshots()
        self.side.start()
        self.begin()

    def begin(self) -> None:
        """Read the last picture, and all after it."""
        self.way.read, lines = self.hall.log.pictures[-1]
        self.side.begin(lines)
        self.read()
        self.side.came_up()

    def read(self, most: int = 10**9) -> bool:
        """The next lines; whether there were any."""
        if self.way.away or self.killed:
            return False
        lines = self.hall.log.lines[self.way.read :][:most]
        self.way.read += len(lines)
        try:
            self.side.read(lines)
        except Missed:
            self.begin()
        return bool(lines)

    def kill(self) -> None:
        """As a kill -9 does: nobody is told."""
        self.killed = self.way.cut = True

    def person(self, name: str, owner: int) -> Person:
        return Person(self, next(self.hall.numbers), name, owner)

    def caller(self) -> Caller:
        return Caller(self, next(self.hall.numbers))

    def picture(self) -> dict[str, list[Any]]:
        return picture(self.replica)

    def _tickets(self, asker: str, call: str, now: float) -> tuple[str, str]:
        return "A" * 26, "B" * 26


class Hall:
    """The servers, and their time."""

    def __init__(self, **limits: float) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.limits = Limits(**limits)  # type: ignore[arg-type]
        self.log = MemoryLog(self.clock)
        self.numbers = count(1)
        self.servers: list[Server] = []

    def server(self, name: str, rules: str = "rules") -> Server:
        server = Server(self, name, rules)
        self.servers.append(server)
        self.run()
        return server

    def run(self, seconds: float = 0.0) -> None:
        """Let that time pass, and all that is written be read."""
        for _ in range(int(seconds / 0.5) + 1):
            self.clock.advance(0.5 if seconds else 0)
            self.settle()

    def settle(self) -> None:
        while sum(server.read() for server in self.servers):
            self.clock.advance(0)


class HallCase(SynchronousTestCase):
    """Two servers, `one` and `two`, over one log."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, **limits: float) -> None:
        self.hall = Hall(**limits)
        self.one, self.two = self.hall.server("one"), self.hall.server("two")

    def agreed(self) -> None:
        """All who run know the same."""
        self.hall.run()
        known = [one.picture() for one in self.hall.servers if not one.killed]
        for other in known[1:]:
            self.assertEqual(other, known[0])
