"""Three servers over one Redis as a row of the traces: real scripts, in simulated time.

They are put together as the program does it. Who connects again comes to the next server; people in
bare text and the operator are at the first one. The network is without delay, so that each step is
over in the moment in which it began.
"""

from __future__ import annotations

import re
from collections import deque
from itertools import count
from random import Random
from typing import Any, cast

from chatproto.cli.sharing import Sharing
from chatproto.directory.classic_registration import Origin
from chatproto.directory.introducing import no_tickets
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.history import NUMBERS_A_SECOND
from chatproto.rooms.room import LOBBY
from chatproto.server.connection import Answers
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.secure_side import SecureSide
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.open import MemoryStore
from chatproto.stores.redis.room_store import room_key
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire import codec, strict
from chatproto.wire.bcp2_common import Bcp2Message
from tests.contracts.names import key
from tests.contracts.traces import LIMITS, NOW, SERVERS, AnyRow, Row, Step, key_of
from tests.limits import Limits
from tests.simulation.network import SimNetwork
from tests.simulation.reactor import SimClock, SimReactor
from tests.simulation.shared.redis_host import HOST, PORT, RedisHost

BEAT = 10.0
STEP = 0.01
"""Seconds between two steps, so that nothing ends in the moment of a request."""
SHARED_LIMITS = LIMITS.with_values(
    [f"server-beat={BEAT}", "server-lapse=60", "classic-lease=36000", "lease-most=150"]
)
"""Small ones, but a beat is rare, so that hours cost little.

A registration ends before an unused id gets free, as with the default limits. Otherwise an id whose client is
away would be free for a look-alike in memory, where the two are stored apart, and not in a shared group.
A classic lease that has ended is listed until the next sweep, and so does not end in what is compared.
"""


CALL = re.compile(rb"Call: [0-9a-z]+\r\n")


def _nothing(*_: object) -> None:
    """The trace of the network is not kept."""


class QuickNetwork(SimNetwork):
    """A network without delay."""

    def latency(self) -> float:
        return 0.0


class Person:
    """Connection with a key to `server`."""

    def __init__(self, row: SharedRow, number: int, server: OneServer) -> None:
        self.row = row
        self.number = number
        self.server = server
        self.client = ClientConnection(
            key_of(number), f"192.0.2.{number % 3}", 4000 + number, number=next(row.numbers)
        )
        self.client.since = row.since()
        self.waiting: deque[Bcp2Message] = deque()
        server.secure.connections[self.client] = cast(Any, self)

    def ask(self, message: Bcp2Message) -> None:
        """Ask something after all that was asked before."""
        self.waiting.append(message)
        self.resume()

    def resume(self) -> None:
        """Have the server take what it need not hold back."""
        directory = self.server.sharing.directory
        while self.waiting and not directory.holds(self.client, self.waiting[0], cast(Any, self)):
            directory.take(self.waiting.popleft(), self.client)

    def say(self, message: Bcp2Message) -> None:
        self.send(strict.encode(message))

    def send(self, data: bytes) -> None:
        self.row.sent.append((f"key {self.number}", data))

    def dismiss(self, message: Bcp2Message) -> None:
        self.say(message)
        self.row.end(self.number)


class Plain:
    """Connection in plain text to `server`."""

    def __init__(self, row: SharedRow, number: int, server: OneServer) -> None:
        self.row = row
        self.number = number
        self.server = server
        self.came = next(row.numbers)
        self.source = Origin(f"198.51.100.{number % 3}", number, False)

    def answered(self, answers: Answers) -> None:
        data = b"".join(codec.encode(answer) for _, answer in answers)
        self.row.sent.append((f"plain {self.number}", data))


class OneServer:
    """One of the servers."""

    def __init__(self, network: SimNetwork, number: int, limits: Limits) -> None:
        reactor: Any = SimReactor(network, f"10.1.0.{number + 1}", f"server{number}")
        self.reactor = reactor
        memory = MemoryStore(limits)
        keyed = KeyedDirectory(memory.names, memory.registry, str, limits)
        delivery = RoomDelivery(reactor, limits)
        self.secure = SecureSide(cast(Any, None), keyed, WorkQueue(reactor), delivery=delivery)
        self.sharing = Sharing(
            *(reactor, RedisUrl(f"redis://{HOST}:{PORT}/0"), key(9), limits, self.secure),
            *(delivery, False, no_tickets, None, self._unfit),
        )
        self.sharing.startService()

    def _unfit(self, why: str) -> None:
        raise AssertionError(why)


class SharedRow(AnyRow):
    """Three servers over one Redis: in this process, or a real one on `port` of this machine."""

    def __init__(self, limits: Limits = SHARED_LIMITS, port: int = 0) -> None:
        super().__init__()
        self.clock = SimClock()
        self.clock.run_until(NOW - 2 * BEAT)
        self.numbers = count(1)
        self.people: dict[int, Person] = {}
        self.plain: dict[int, Plain] = {}
        self.network = QuickNetwork(self.clock, Random(1), _nothing)
        self.redis = RedisHost(self.network, Random(1), _nothing, port)
        self.servers = [OneServer(self.network, number, limits) for number in range(SERVERS)]
        self.clock.run_until(NOW)
        assert not any(one.sharing.trouble for one in self.servers), "a server is not ready"

    @property
    def began(self) -> float:
        """Time at which the lobby was opened: its lines are numbered from there."""
        last = int(self.redis.ask("HGET", room_key(LOBBY), "last"))
        return last / NUMBERS_A_SECOND

    def server(self, number: int) -> OneServer:
        """Return the server to which person `number` connects this time."""
        return self.servers[self.server_of(number)]

    def settle(self) -> None:
        self.clock.run_until(self.clock.seconds())

    def since(self) -> float | None:
        """Return the time at which a connection comes; None: one server does not compare them either."""
        return None

    def ask(self, number: int, message: Bcp2Message) -> None:
        if number not in self.people:
            self.people[number] = Person(self, number, self.server(number))
        self.people[number].ask(message)

    def ask_plain(self, number: int, message: Any) -> None:
        if number not in self.plain:
            self.plain[number] = Plain(self, number, self.server(number))
        person = self.plain[number]
        person.server.sharing.directory.take_plain(cast(Any, person), [message])
        self.settle()

    def order(self, message: Bcp2Message) -> None:
        self.servers[0].sharing.rooms.order(message).addErrback(self.refused)
        self.settle()

    @property
    def lobby(self) -> Any:
        return self.servers[0].sharing.rooms.lobby

    def leave(self, number: int) -> None:
        if number in self.people:
            self.end(number)
        elif number in self.plain:
            person = self.plain.pop(number)
            person.source.alive = False
            person.server.sharing.directory.closed(cast(Any, person))
        self.settle()

    def end(self, number: int) -> None:
        """End the connection of a person with a key."""
        person = self.people.pop(number)
        person.waiting.clear()
        del person.server.secure.connections[person.client]
        person.server.sharing.directory.connection_lost(person.client, "")

    def wait(self, seconds: float) -> None:
        self.clock.run_until(self.clock.seconds() + seconds)
        for one in self.servers:
            one.sharing.directory.tick()
        self.settle()


class Pair:
    """Three servers over one Redis, and one in memory: each step is done at both, and compared.

    Args: port: that of a real Redis; 0 for one in this process.
    """

    def __init__(self, limits: Limits = SHARED_LIMITS, port: int = 0) -> None:
        self.shared = SharedRow(limits, port)
        self.alone = Row(MemoryStore(limits), self.shared.began, limits)

    def close(self) -> None:
        """Close the connections to Redis."""
        self.shared.redis.close()

    def do(self, step: Step) -> None:
        """Do a step. Raises AssertionError if somebody is sent something else at the one than at the other.

        Three things may differ. Which of two connections is older is known only of two to one server,
        and in memory too it is not used here otherwise: an id goes to the one that registers last. Ids
        of calls are whatever a server makes up. And news of each id that comes or goes has its own way, so
        that it may come before or after an answer, and before or after news of another id.
        """
        for row in (self.alone, self.shared):
            row.do(step)
            row.wait(STEP)
        wanted, found = sent(self.alone), sent(self.shared)
        for who in sorted({*wanted, *found}):
            assert found.get(who) == wanted.get(who), (step, who, found.get(who), wanted.get(who))


def sent(row: AnyRow) -> dict[str, bytes]:
    """Take what `row` has sent, to each client in one piece, and apart from it the news of each id."""
    found: dict[str, bytes] = {}
    for who, data in row.sent:
        place = f"{who}, {data.splitlines()[1]!r}" if data.startswith(b"PRESENCE") else who
        found[place] = found.get(place, b"") + data
    row.sent.clear()
    return {place: CALL.sub(b"Call: one\r\n", data) for place, data in found.items() if data}
