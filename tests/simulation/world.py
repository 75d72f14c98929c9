"""A server, some people, and a network between them; a seed says what everybody does, and when."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from chatproto.client.settings import ClientSettings
from chatproto.directory.introducing import no_tickets
from chatproto.directory.keyed import KeyedDirectory
from chatproto.identity.pins import Pin
from chatproto.relay.protocol import Relays
from chatproto.relay.tickets import new_ticket
from chatproto.server.room_side import RoomSide
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import ChatServer
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms
from tests.simulation.actions import Action
from tests.simulation.channel import SimTls
from tests.simulation.hall import HallBooks
from tests.simulation.invariants import (
    Books,
    ErrorLog,
    check_log,
    check_node,
    check_server,
    check_transports,
    hold,
)
from tests.simulation.network import SimNetwork
from tests.simulation.person import LIMITS, PEOPLE_PORT, PORT, SERVER, Person
from tests.simulation.reactor import SimClock, SimReactor
from tests.simulation.routers import Router, Routers
from tests.simulation.trace import Trace

NAMES = ("ann", "bob", "cid", "dot")
STRANGER = "eve"
"""Somebody who says that they are the first of them, with another key."""
SETTLING = 240.0
"""Seconds that all may take to be well again, once nothing breaks any more: the longest wait between
two tries is 60 s."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of a world: what may happen, and what is promised.

    `faults`: the network breaks and programs are killed. `turns`: half duplex. `outbox`: a message to a peer
    whose key is pinned arrives whatever happens; any other may be lost with its connection. `rooms`: they
    talk in a room of the server. `homes`: they are behind routers, and the server has a relay. `lies`:
    another server and a peer lie. `plain`: they speak plain text. `shared`: several servers share a Redis;
    all but the faults of these is left out. `short`: few actions.
    """

    faults: bool = False
    turns: bool = False
    outbox: bool = False
    rooms: bool = False
    homes: bool = False
    lies: bool = False
    plain: bool = False
    shared: bool = False
    short: bool = False


class World:
    """Everything; `step` does one thing that somebody does and lets its time pass."""

    def __init__(self, seed: int, rules: Rules = Rules()) -> None:
        self.seed = seed
        self.rules = rules
        self.random = Random(f"{seed} world")
        self.clock = SimClock()
        self.trace = Trace(self.clock.seconds)
        self.network = SimNetwork(
            self.clock, Random(f"{seed} network"), self.trace.add, rules.faults
        )
        if rules.homes:
            self.network.routers = Routers(self.clock, SERVER)
        self.errors = ErrorLog()
        self.side: SecureSide | None = None
        self._server_key = self.new_key()
        self._names = MemoryNames()
        self._said = MemoryRooms(LIMITS)
        self.hall = HallBooks()
        self._server: SimReactor | None = None
        self._calls = 0
        self._tickets = itertools.count()
        self._old: list[ChatServer] = []
        self.people = self._make_people()
        self._keys = {person.name: person.key for person in self.people}
        for person in self.people:
            if person.name != STRANGER:
                self._names.keep(person.name, person.key, self.clock.seconds())
        strange = self.people[-1].name == STRANGER
        self.left: set[frozenset[str]] = set()
        """Pairs of whom one has left a conversation: whoever takes a call then is left alone."""
        # A stranger is refused by some, which looks like a break to others.
        self.peaceful = not rules.faults and not strange
        self.books = Books((STRANGER, NAMES[0]) if strange else None)
        self.dials = 0
        self.calm = 10.0
        """Seconds for which all that was well must stay so."""

    def __enter__(self) -> World:
        self.errors.__enter__()
        self.start_server()
        for person in self.people:
            if person.name != STRANGER:
                person.start()
        self.pass_time(3.0)
        self.people[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.errors.__exit__()

    def new_key(self) -> str:
        """The name of a key that nobody has had before."""
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        return "sha256:" + "".join(self.random.choices(letters, k=51)) + "A"

    def _make_people(self) -> list[Person]:
        random, count = self.random, self.random.choice((2, 2, 3, 4))
        people = []
        for number in range(count):
            answer = "all" if random.random() < 0.7 else "known"
            half = self.rules.turns and random.random() < 0.3
            settings = ClientSettings(NAMES[number], answer=answer, half_duplex=half)
            people.append(Person(self, number, NAMES[number], settings))
            if self.network.routers is not None:
                self.network.routers.kinds[people[-1].host] = random.choice(tuple(Router))
        for one in people:
            for other in people:
                if one is not other and random.random() < 0.7:
                    one.pins.put(Pin(self._server_key, other.name, other.key))
                    one.knew.add(other.name)
        if random.random() < 0.2:
            people.append(Person(self, count, STRANGER, ClientSettings(NAMES[0], answer="all")))
        return people

    # The server.

    def start_server(self) -> None:
        """Start it, if it does not run; it has forgotten who was there, but for whose names they are."""
        if self._server is not None:
            return
        reactor = self._server = SimReactor(self.network, SERVER, "server")
        registry = MemoryRegistry(LIMITS)
        relay: Relays | None = None
        if self.rules.homes:  # with tickets that are the same in each run
            relay = Relays(cast(Any, reactor), LIMITS, lambda: new_ticket(self._ticket))
        tickets = no_tickets if relay is None else relay.tickets.issue
        directory = KeyedDirectory(self._names, registry, self._new_call, LIMITS, tickets)
        turns, rooms = WorkQueue(reactor), None
        if self.rules.rooms:
            rooms = RoomSide(cast(Any, reactor), self._said, LIMITS, turns=turns)
        self.side = SecureSide(cast(Any, SimTls(self._server_key)), directory, turns, rooms=rooms)
        where = f"tcp:{PORT}:interface={SERVER}"
        server = ChatServer(reactor, [where], registry, self.side, LIMITS, relay=relay)
        server.factory.wheel.grain = 0.5
        server.startService()
        self._old.append(server)

    def kill_server(self) -> None:
        """`kill -9`."""
        if self._server is not None:
            self._server.kill()
            self._server = self.side = None

    def _ticket(self, count: int) -> bytes:
        return Random(f"{self.seed} ticket {self._calls} {next(self._tickets)}").randbytes(count)

    def _new_call(self) -> str:
        self._calls += 1
        return f"{self._calls:016x}"

    # What happens.

    def step(self, action: Action) -> None:
        """Do one thing, let its time pass, and see that everything holds. Raises Broken."""
        self.trace.add("world", "does", action)
        action.do(self)
        self.pass_time(action.wait)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and see that everything holds."""
        self.clock.run_until(self.clock.seconds() + seconds)
        self.check()

    def say(self, person: Person, to: str, text: str) -> None:
        """Send a text, unless a stranger has the recipient's name there."""
        if person.node is None:
            return
        known = person.node.calls.all.called(to)
        if known is None or known.key in (None, self._keys[to]):
            person.say(to, text)

    def tap_of(self, person: Person) -> Callable[[str | None, bytes], None] | None:
        """Return a receiver of everything that the program of `person` writes; none here."""
        return None

    def whereabouts(self, caller: Person, callee: Person) -> str:
        """Return the name or address by which `caller` calls `callee`: no server knows strangers."""
        strange = STRANGER in (caller.name, callee.name)
        return f"{callee.host}:{PEOPLE_PORT}" if strange else callee.name

    def check(self) -> None:
        """Check the invariants. Raises Broken."""
        self.errors.check()
        for person in self.people:
            if person.node is not None:
                check_node(person.node, LIMITS, self.dials)
        if self.side is not None:
            check_server(self.side, self.clock.seconds(), self._keys)
        check_transports(self.network.transports())

    # The end.

    def finish(self) -> None:
        """Let nothing break any more; when all had time to mend, see that nothing is lost."""
        self.trace.add("world", "heals")
        self.network.heal()
        self.start_server()
        for person in self.people:
            person.start()
        self._wake()
        end = self.clock.seconds() + SETTLING
        self.pass_time(2.0)  # a connection that was cut in silence breaks only now
        while self.clock.seconds() < end and not self._is_settled():
            self.pass_time(2.0)
            self._take_calls()
            self._give_turns()
        self.pass_time(self.calm)
        self._check_end()

    def _wake(self) -> None:
        """All programs run again."""

    def _is_settled(self) -> bool:
        return not (self._lost() or self._waiting() or self._disagreements() or self._absent())

    def _take_calls(self) -> None:
        """Accept every ringing call."""
        for person in self.people:
            assert person.node is not None
            for one in person.node.calls.all:
                if one.state.value == "ringing":
                    person.node.accept(one.name)

    def _give_turns(self) -> None:
        """Pass the turn wherever it is, so that queued messages can go out."""
        if not self.rules.turns:
            return
        for person in self.people:
            assert person.node is not None
            for one in person.node.calls.all:
                if one.state.value == "open" and one.session.floor.turn.value == "mine":
                    person.node.switch(one.name)
                    person.node.over()

    def _check_end(self) -> None:
        lost = self._lost()
        hold(not lost, f"lost: {lost[:3]} and {len(lost)} in all")
        wrong = self._disagreements()
        hold(not wrong, f"they disagree: {wrong}")
        waiting = self._waiting()
        hold(not waiting, f"something still waits: {waiting}")
        self._check_logs()
        unsettled = self.hall.unsettled()
        hold(not unsettled, f"said in the room and never told of: {unsettled[:3]}")
        hold(not self.hall.behind(), f"not told all: {self.hall.behind()}")
        absent = self._absent()
        hold(not absent, f"not registered: {absent}")

    def _check_logs(self) -> None:
        for receiver in self.people:
            for sender in self.people:
                if self.rules.outbox and sender.name in receiver.knew:
                    heard = self.books.heard(sender.name, receiver.name)
                    check_log(receiver.name, receiver.ledger, sender.key, heard)

    def _lost(self) -> list[Any]:
        """Messages that neither came nor were reported; to people whose key is known all must come."""
        if not self.rules.outbox:
            return []
        return [one for one in self.books.messages.values() if one.lost]

    def _waiting(self) -> list[tuple[str, str]]:
        """For whom something still waits at whom."""
        if not self.rules.outbox:
            return []
        return [(one.name, name) for one in self.people for _, name, _ in one.ledger.waiting()]

    def pinned(self, sender: Person, receiver: str) -> bool:
        """Return True if `sender` has pinned a key for the name `receiver`."""
        known = sender.node.acquaintances if sender.node is not None else None
        return known is not None and known.pinned(receiver) is not None

    def _disagreements(self) -> list[tuple[str, str, int]]:
        """List the pairs of whom one is in conversation and the other not, or (1) has a broken one."""
        names = {one.key: one.name for one in self.people if one.name != STRANGER}
        talks = {
            (person.name, names[conversation.key], number)
            for person in self.people
            if person.node is not None and person.name != STRANGER
            for conversation in person.node.calls.all
            if conversation.state.value in ("open", "broken") and conversation.key in names
            for number in range(1 + (conversation.state.value == "broken"))
        }
        return sorted(pair for pair in talks if (*pair[1::-1], 0) not in talks or pair[2])

    def _absent(self) -> list[str]:
        """List the persons that should be registered and are not."""
        return [
            person.name
            for person in self.people
            if person.name != STRANGER
            and not (person.node and person.node.server and person.node.server.registered)
        ]
