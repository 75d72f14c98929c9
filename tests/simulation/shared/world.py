"""Servers over one Redis, people who meet in a room, and a seed that says what happens, and when."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from random import Random
from typing import Any

from chatproto.net.clock import Times
from chatproto.rooms.policy import RoomPolicy
from chatproto.stores.redis.room_store import room_key
from chatproto.stores.redis.room_text import parsed_policy, read_line, read_seat
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.simulation.actions import Action
from tests.simulation.invariants import ErrorLog, hold
from tests.simulation.network import Connection, SimNetwork
from tests.simulation.reactor import SimClock
from tests.simulation.shared.books import RoomBooks
from tests.simulation.shared.redis_host import RedisHost
from tests.simulation.shared.server import SharedServer, Visit
from tests.simulation.trace import Trace

HALL = "#hall"
NAMES = ("ann", "bob", "cid", "dot", "eve", "fay")
SERVERS = 3
SETTLING = 180.0
"""Seconds that all may take to be well again: a change of which nothing is known is tried for 60 s."""
EXPECTED = ("{url} is not reachable: {why}",)
"""Errors that a server is right to log here."""
LIMITS = SERVER_DEFAULTS.with_values(
    ["server-lapse=6", "server-beat=2", "room-rate=10000", "room-burst=10000"]
)


@dataclass(eq=False, slots=True)
class SharedPerson:
    """Somebody with one connection at a time."""

    name: str
    key: str
    host: str
    visit: Visit | None = None


class SharedWorld:
    """Everything; `step` does one thing and lets its time pass."""

    limits = LIMITS

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.clock = SimClock()
        self.trace = Trace(self.clock.seconds)
        self.network = SimNetwork(self.clock, Random(f"{seed} network"), self.trace.add, True)
        self.redis = RedisHost(self.network, Random(f"{seed} redis"), self.trace.add)
        self.errors = ErrorLog(EXPECTED)
        self.books = RoomBooks()
        self.people = [
            SharedPerson(name, key(number), f"198.51.100.{number}")
            for number, name in enumerate(NAMES)
        ]
        self._made = 0
        self._visits: list[Visit] = []
        self._dead: list[SharedServer] = []
        self.servers = [SharedServer(self, number) for number in range(SERVERS)]

    def __enter__(self) -> SharedWorld:
        self.errors.__enter__()
        self.pass_time(5.0)
        for number, person in enumerate(self.people[:4]):
            self.come(person, self.servers[number % SERVERS])
            self.pass_time(1.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.errors.__exit__()
        # What still waits is closed when it is thrown away, and not while the next world runs.
        for server in (*self.servers, *self._dead):
            server.reactor.dead = False
        self.servers, self._dead, self._visits, self.people = [], [], [], []
        gc.collect()

    # What servers and clients use.

    def new_name(self) -> str:
        """Make a name that nothing else has."""
        return f"n{self.next_number()}"

    def next_number(self) -> int:
        """Make a number higher than all before."""
        self._made += 1
        return self._made

    async def look_up(self, client_id: str, key: str) -> tuple[str | None, bool]:
        """Return the key that owns an id, which everybody may know of."""
        return next((one.key for one in self.people if one.name == client_id), None), True

    def tell(self, client_id: str, message: Bcp2Message) -> None:
        """Send `message` to a client, wherever it is."""
        for person in self.people:
            if person.name == client_id and person.visit is not None and person.visit.open:
                person.visit.say(message)

    # What happens.

    def come(self, person: SharedPerson, server: SharedServer) -> None:
        """Connect, at a server that runs, and ask to be in the room."""
        if not server.reactor.dead:
            if person.visit is not None:
                person.visit.leave()
            for visit in tuple(server.visits.values()):
                if visit.person is person:
                    visit.replaced()
            person.visit = Visit(self, person, server)
            self._visits.append(person.visit)
            person.visit.ask(bcp2_rooms.Join, HALL)

    def kill(self, server: SharedServer) -> None:
        """`kill -9`."""
        if not server.reactor.dead:
            self.trace.add("world", "kills", server.reactor.name)
            server.kill()
            self._dead.append(server)  # what it waits for is never answered

    def start(self, number: int) -> None:
        """Start a server again, if it does not run."""
        if self.servers[number].reactor.dead:
            self.servers[number] = SharedServer(self, number)

    def connections(self, server: SharedServer) -> list[Connection]:
        """Return the connections of a server, which all lead to Redis."""
        return [one for one in self.network.connections if one.ends[0].reactor is server.reactor]

    def connection(self, server: SharedServer, subscribed: bool) -> Connection:
        """Return the connection on which a server hears what is published, or on which it asks."""
        found = self.connections(server)
        return next(one for one in found if one.ends[1].protocol.subscribed == subscribed)

    def step(self, action: Action) -> None:
        """Do one thing, let its time pass, and see that everything holds. Raises Broken."""
        self.trace.add("world", "does", action)
        action.do(self)  # type: ignore[arg-type]  # its methods take what they are made for
        self.pass_time(action.wait)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and see that everything holds."""
        self.clock.run_until(self.clock.seconds() + seconds)
        self.errors.check()

    # The end.

    def finish(self) -> None:
        """Let nothing break any more; when all had time to mend, see that nothing is lost."""
        continued = max(server.reactor.stopped_until for server in self.servers)
        self.pass_time(max(0.0, continued - self.clock.seconds()))
        self.trace.add("world", "heals")
        for visit in self.visits:
            if visit.person.visit is not visit:
                visit.leave()
        self.network.heal()
        self.redis.deaf.clear()
        self.redis.lost_publishes = 0
        for number in range(SERVERS):
            self.start(number)
        self._settle()
        for visit in self.visits:
            visit.ask(bcp2_rooms.Say, HALL, f"{visit.name} says goodbye")
        self.pass_time(10.0)
        self._settle()  # a server may notice only now that the others have given it up
        self.books.check_kept(self.kept())
        if any(self.redis.ask("HMGET", room_key(HALL), "version")):
            self.books.check_banned({who for kind, who in self.policy().bans if kind == "key"})
        for visit in self.visits:
            if visit.members is not None:
                last = max(self.books.order, default=visit.last)
                hold(visit.last == last, f"{visit.name} was told {visit.last} of {last}")

    def _settle(self) -> None:
        """Let time pass until all is well. Raises Broken if that takes too long."""
        end = self.clock.seconds() + SETTLING
        while self.clock.seconds() < end and self.unsettled():
            self.pass_time(2.0)
        hold(not self.unsettled(), self.unsettled())

    @property
    def visits(self) -> list[Visit]:
        """Connections that are open."""
        return [one for one in self._visits if one.open]

    def kept(self) -> list[tuple[int, str, str]]:
        """Return the lines that Redis has."""
        entries = self.redis.ask("XRANGE", f"{room_key(HALL)}:s", "-", "+")
        lines = [read_line(int(at.split(b"-")[0]), body[1].decode()).line for at, body in entries]
        return [(line.number, line.sender, line.text) for line in lines]

    def policy(self) -> RoomPolicy:
        """Return the policy that Redis has."""
        version, text = self.redis.ask("HMGET", room_key(HALL), "version", "policy")
        return parsed_policy(HALL, int(version), json.loads(text))[0]

    def unsettled(self) -> str:
        """Return in a sentence what is not as it should be in the end; empty if all is well."""
        for visit in self.visits:
            if visit.asked:
                return f"{visit.name} has no answer to {[*visit.asked.values()]}"
        pairs = self.redis.ask("HGETALL", f"{room_key(HALL)}:m")
        seats = {
            one.decode(): read_seat(seat.decode())
            for one, seat in zip(pairs[::2], pairs[1::2], strict=True)
        }
        for server in self.servers:
            copy = server.watch.find(HALL)
            if not server.watch.is_up:
                return f"{server.reactor.name} has no subscription"
            if copy is not None and copy.members != seats:
                return f"{server.reactor.name} knows {copy.members}, and Redis has {seats}"
        inside = {visit.name: visit for visit in self.visits if visit.members is not None}
        if inside.keys() != seats.keys():
            return f"{[*inside]} take themselves for members, and Redis has {seats}"
        for name, visit in inside.items():
            seat = seats[name]
            if (seat.node, seat.number) != (visit.server.node.name, visit.client.number):
                return f"{name} is in with another connection: {seat}"
            if visit.members != seats.keys():
                return f"{name} was told of {visit.members}, and Redis has {[*seats]}"
        now, policy = Times(self.clock.seconds).monotonic(), self.policy() if seats else None
        banned = [
            one
            for one, seat in seats.items()
            if policy is not None and policy.is_banned(one, seat.key, seat.host, now)
        ]
        return f"banned and in: {banned}" if banned else ""


@dataclass(frozen=True, slots=True)
class SharedAction(Action):
    """An action in a world of servers that share a Redis."""

    # What people do.

    def say(self, world: Any) -> None:
        """One line, or a few at once."""
        self._say(world, self._person(world), 1 + int(self.number * 40) % 3)

    def talk(self, world: Any) -> None:
        """All who are there say something at once."""
        for person in world.people:
            self._say(world, person, 1)

    def come(self, world: Any) -> None:
        """Connect to another server, from wherever one is."""
        world.come(self._person(world), self._server(world))

    def join(self, world: Any) -> None:
        """Ask to be in the room."""
        self._ask(world, bcp2_rooms.Join, HALL)

    def part(self, world: Any) -> None:
        """Leave the room."""
        self._ask(world, bcp2_rooms.Part, HALL)

    def leave(self, world: Any) -> None:
        """End the connection."""
        person = self._person(world)
        if person.visit is not None:
            person.visit.leave()

    def ban(self, world: Any) -> None:
        """Ban somebody, who says something and comes in again meanwhile."""
        other = self._other(world)
        if self.number < 0.3:  # who is about to come in
            self._hold(world, self._server(world), 8 * self.number)
            world.come(other, self._server(world))
        for person in world.people[:2]:
            if person.visit is not None and person is not other:
                person.visit.ask(bcp2_rooms.Ban, HALL, key=other.key)
        world.pass_time(self.number * 0.3)
        self._say(world, other, 1)
        if self.number < 0.7:
            world.come(other, self._server(world))
        elif other.visit is not None:
            other.visit.ask(bcp2_rooms.Join, HALL)

    def quarrel(self, world: Any) -> None:
        """Have two who may moderate change different things at one moment, and one depose the other then."""
        one, other = world.people[self.who % 2], world.people[1 - self.who % 2]
        if one.visit is None or other.visit is None:
            return
        one.visit.ask(bcp2_rooms.Op, HALL, other.name)
        world.pass_time(1.0)
        if one.visit.open and other.visit.open:
            one.visit.ask(bcp2_rooms.Topic, HALL, f"number {self.number:.4f}")
            other.visit.ask(bcp2_rooms.Ban, HALL, key=world.people[2 + self.whom % 4].key)
            if self.number < 0.5:
                one.visit.ask(bcp2_rooms.Op, HALL, other.name, "1970-01-01T00:00:00Z")

    def unban(self, world: Any) -> None:
        """Take all bans back."""
        for person in world.people[:2]:
            if person.visit is not None:
                for other in world.people:
                    person.visit.ask(bcp2_rooms.Unban, HALL, key=other.key)

    def moderate(self, world: Any) -> None:
        """Change something else."""
        other = self._other(world).name
        requests: tuple[tuple[Any, ...], ...] = (
            (bcp2_rooms.Kick, HALL, other),
            (bcp2_rooms.Mute, HALL, other),
            (bcp2_rooms.Op, HALL, other),
            (bcp2_rooms.Topic, HALL, f"number {self.number:.4f}"),
            (bcp2_rooms.Names, HALL),
            (bcp2_rooms.History, HALL),
        )
        self._ask(world, *requests[int(self.number * 100) % len(requests)])

    # What breaks.

    def lose_reply(self, world: Any) -> None:
        """Lose the reply to the next script of a server, of which something is asked just then.

        Others write meanwhile, before it tries again.
        """
        server = self._server(world)
        world.redis.deaf.add(server.host)
        for person in world.people:
            self._say(world, person, 1)

    def lose_publish(self, world: Any) -> None:
        """Lose some of what is published next."""
        world.redis.lost_publishes += 1 + int(self.number * 3)
        self._say(world, self._person(world), 1)

    def cut(self, world: Any) -> None:
        """Break a connection to Redis, so that both ends see it, or one later, or none."""
        connection = self._connection(world)
        if connection is not None:
            capabilities = ("both", "one", "silent", "silent")[int(self.number * 400) % 4]
            world.network.cut(connection, capabilities)

    def stall(self, world: Any) -> None:
        """Hold back one direction of a connection for longer than its server waits."""
        connection = self._connection(world)
        if connection is not None:
            pipe = connection.pipes[int(self.number * 2000) % 2]
            world.network.stall(pipe, 12 * self.number)

    def isolate(self, world: Any) -> None:
        """Have a server reach Redis no more until the others give it up; its clients go on."""
        server = self._server(world)
        for person in world.people:
            if person.visit is not None and person.visit.server is server:
                self._say(world, person, 1)
        world.network.isolate(server.host, 4 + 16 * self.number)
        for connection in world.connections(server):
            world.network.cut(connection, "silent")

    def pause(self, world: Any) -> None:
        """Stop a server for a while, in which its clients ask it something, and go to others or wait."""
        server, seconds = self._server(world), 20 * self.number
        if server.reactor.dead or server.reactor.stopped_until > world.clock.seconds():
            return
        for connection in world.connections(server):
            world.network.stall(connection.pipes[1], seconds)
        server.reactor.pause(seconds)
        there = [one for one in world.people if one.visit and one.visit.server is server]
        for number, person in enumerate(there):
            self._ask_late(world, server, person, int(self.number * 1000) + number)
            if (self.who + number) % 2:
                old, person.visit = person.visit, None
                server.reactor.callLater(seconds + 9 * self.number, old.leave)
                if number % 3 == 0:
                    world.come(person, world.servers[(server.number + 1) % SERVERS])

    def _ask_late(self, world: Any, server: Any, person: Any, choice: int) -> None:
        """Have a server that is stopped find what somebody asks when it continues."""
        other = world.people[choice % len(NAMES)]
        texts = [f"{person.name} late {world.next_number()}" for _ in range(2)]
        requests: tuple[tuple[Any, ...], ...] = (
            (bcp2_rooms.Say, HALL, texts[0]),
            (bcp2_rooms.Join, HALL),
            (bcp2_rooms.Part, HALL),
            (bcp2_rooms.Kick, HALL, other.name),
            (bcp2_rooms.Mute, HALL, other.name),
        )
        for request in (requests[choice % len(requests)], (bcp2_rooms.Say, HALL, texts[1])):
            server.reactor.callLater(0, person.visit.ask, *request)

    def kill(self, world: Any) -> None:
        """Kill a server, and start it again now or later."""
        server = self._server(world)
        world.kill(server)
        if self.number < 0.5:
            world.start(server.number)

    def start(self, world: Any) -> None:
        """Start a server that was killed."""
        world.start(self.whom % SERVERS)

    # What there is to choose from.

    def _hold(self, world: Any, server: Any, seconds: float) -> None:
        """Have what a server asks of Redis arrive later."""
        for connection in world.connections(server):
            if not connection.ends[1].protocol.subscribed:
                world.network.stall(connection.pipes[0], seconds)

    def _person(self, world: Any) -> Any:
        return world.people[self.who % len(NAMES)]

    def _other(self, world: Any) -> Any:
        return world.people[(self.who + 1 + self.whom % (len(NAMES) - 1)) % len(NAMES)]

    def _server(self, world: Any) -> Any:
        return world.servers[self.whom % SERVERS]

    def _connection(self, world: Any) -> Any:
        found = world.network.connections
        return found[int(self.number * 7919) % len(found)] if found else None

    def _ask(self, world: Any, kind: type[Any], *values: Any) -> None:
        visit = self._person(world).visit
        if visit is not None:
            visit.ask(kind, *values)

    def _say(self, world: Any, person: Any, count: int) -> None:
        if person.visit is not None:
            for _ in range(count):
                text = f"{person.name} {len(world.books.lines)}"
                person.visit.ask(bcp2_rooms.Say, HALL, text)


PEACE = {
    "say": 10,
    "talk": 5,
    "come": 5,
    "join": 3,
    "part": 2,
    "leave": 1,
    "ban": 2,
    "unban": 2,
    "moderate": 4,
    "quarrel": 2,
}
FAULTS = {
    "lose_reply": 4,
    "lose_publish": 4,
    "cut": 4,
    "stall": 3,
    "isolate": 1,
    "pause": 2,
    "kill": 1,
    "start": 1,
}


def shared_script(seed: int) -> tuple[SharedAction, ...]:
    """Choose the actions of `seed`."""
    random = Random(f"{seed} shared script")
    weights = PEACE | FAULTS
    kinds = random.choices(list(weights), list(weights.values()), k=random.randint(10, 40))
    waits = (0.0, 0.01, 0.05, 0.3, 1.0, 3.0, 8.0)
    return tuple(
        SharedAction(
            kind,
            random.randrange(1000),
            random.randrange(1000),
            random.random(),
            random.choices(waits, (3, 3, 4, 4, 4, 2, 1))[0],
        )
        for kind in kinds
    )
