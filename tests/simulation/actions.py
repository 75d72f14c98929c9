"""Actions of users and faults, as values that a seed chooses and that can be left out one by one."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.hall import HALL
from tests.simulation.routers import Router

if TYPE_CHECKING:
    from tests.simulation.network import Connection
    from tests.simulation.person import Person
    from tests.simulation.world import Rules, World

CUTS = ("both", "both", "one", "silent")


@dataclass(frozen=True, slots=True)
class Action:
    """`kind` is the name of a method here; `who` and `whom` count through whoever is there then.

    `wait`: seconds that pass afterwards; `number`: from 0 to 1, what else there is to choose.
    """

    kind: str
    who: int
    whom: int
    number: float
    wait: float

    def do(self, world: World) -> None:
        """Do it, as far as it can be done."""
        getattr(self, self.kind)(world)

    # What people do.

    def say(self, world: World) -> None:
        """One message, now and then a long one or a few at once."""
        one, other = self._two(world)
        count = 1 + int(self.number * 40) % 4 if self.number < 0.3 else 1
        for _ in range(count):
            text = f"{one.name}>{other.name} {len(world.books.messages)} {len(world.trace)}"
            world.say(one, other.name, text + "." * (int(self.number * 7919) % 150))

    def flood(self, world: World) -> None:
        """More than may wait."""
        one, other = self._two(world)
        for _ in range(10 + int(self.number * 10)):
            text = f"{one.name}>{other.name} {len(world.books.messages)} {len(world.trace)}"
            world.say(one, other.name, text + "." * 150)

    def talk(self, world: World) -> None:
        """Say something in the room, and come into it first."""
        self._talk(world, self._two(world)[0])

    def talk_on(self, world: World) -> None:
        """Cut one person off while the others keep talking in the room."""
        one, _ = self._two(world)
        others = [person for person in world.people if person is not one]
        for connection in tuple(world.network.connections):
            if one.name in {end.name.partition("#")[0] for end in connection.ends}:
                world.network.cut(connection, "both")
        for number in range(15):
            self._talk(world, others[number % len(others)])
            world.pass_time(0.01 + 0.05 * self.number)

    def _talk(self, world: World, one: Person) -> None:
        if one.node is None:
            return
        if not one.node.rooms.rows():
            one.node.rooms.join(HALL)
        for _ in range(1 + int(self.number * 40) % 3):
            if one.node.rooms.rows() and one.node.rooms.outbox.unsent < 10:
                text = f"{one.name} {len(world.hall.spoken)} {len(world.trace)}"
                world.hall.said(one.name, one.lives, text)
                one.node.msg(text, HALL)

    def call(self, world: World) -> None:
        """Call somebody."""
        one, other = self._two(world)
        if one.node is not None:
            one.node.chat(world.whereabouts(one, other))

    def cross(self, world: World) -> None:
        """Two call each other, at once or almost."""
        one, other = self._two(world)
        if one.node is not None:
            one.node.chat(world.whereabouts(one, other))
        world.pass_time(self.number * self.number * 0.4)
        if other.node is not None:
            other.node.chat(world.whereabouts(other, one))

    def answer(self, world: World) -> None:
        """Answer every ringing call."""
        for person in world.people:
            if person.node is None:
                continue
            for one in person.node.calls.all:
                if one.state.value == "ringing":
                    if self.number < 0.8:
                        person.node.accept(one.name)
                    else:
                        person.node.decline(one.name)

    def quit(self, world: World) -> None:
        """Leave a conversation."""
        one, other = self._two(world)
        if one.node is not None and one.node.calls.all.called(other.name) is not None:
            world.left.add(frozenset((one.name, other.name)))
            one.node.switch(other.name)
            one.node.quit()

    def mode(self, world: World) -> None:
        """Take turns, or no more."""
        one, other = self._two(world)
        if one.node is not None and one.node.calls.all.called(other.name) is not None:
            one.node.switch(other.name)
            one.node.mode("half" if self.number < 0.6 else "full")

    def over(self, world: World) -> None:
        """Pass the turn."""
        one, other = self._two(world)
        if one.node is not None and one.node.calls.all.called(other.name) is not None:
            one.node.switch(other.name)
            one.node.over()

    def unsend(self, world: World) -> None:
        """Take back one of the messages that wait for somebody."""
        one, other = self._two(world)
        if one.node is None:
            return
        entries = [entry for entry in one.ledger.entries(other.key) if entry.text]
        if entries:
            entry = entries[int(self.number * len(entries))]
            one.node.unsend(str(entry.id), other.name)
            world.books.taken_back(entry.text)

    def info(self, world: World) -> None:
        """Ask who is there."""
        one, _ = self._two(world)
        if one.node is not None:
            one.node.info()

    # What befalls them.

    def cut(self, world: World) -> None:
        """A connection breaks, in one way or another."""
        connection = self._connection(world)
        if connection is not None:
            world.network.cut(connection, CUTS[int(self.number * len(CUTS))])

    def stall(self, world: World) -> None:
        """One way of a connection stands still for a while."""
        connection = self._connection(world)
        if connection is not None:
            world.network.stall(connection.pipes[self.who % 2], 12 * self.number)

    def isolate(self, world: World) -> None:
        """Make one machine unreachable for a while."""
        one, _ = self._two(world)
        world.network.isolate(one.host, 8 * self.number)

    def router(self, world: World) -> None:
        """Put one person behind another router; connections stay."""
        one, _ = self._two(world)
        kinds = tuple(Router)
        assert world.network.routers is not None
        world.network.routers.kinds[one.host] = kinds[int(self.number * len(kinds))]

    def restart(self, world: World) -> None:
        """A program is killed, and started again after a while, or by somebody later."""
        one, _ = self._two(world)
        one.kill()
        if self.number < 0.8:
            world.pass_time(2 * self.number)
            one.start()

    def start(self, world: World) -> None:
        """Start the programs that were killed."""
        world.start_server()
        for person in world.people:
            person.start()

    def restart_server(self, world: World) -> None:
        """The server is killed, and started again, or by somebody later."""
        world.kill_server()
        if self.number < 0.8:
            world.pass_time(2 * self.number)
            world.start_server()

    # Of whom.

    def _two(self, world: World) -> tuple[Person, Person]:
        people = world.people
        one = self.who % len(people)
        other = (one + 1 + self.whom % (len(people) - 1)) % len(people)
        return people[one], people[other]

    def _connection(self, world: World) -> Connection | None:
        found = world.network.connections
        return found[self.whom % len(found)] if found else None


PEACE = {
    "say": 40,
    "call": 10,
    "cross": 6,
    "answer": 8,
    "quit": 5,
    "info": 2,
    "flood": 1,
    "unsend": 4,
}
ROOMS = {"talk": 60}
HOMES = {"router": 6}
ROOM_FAULTS = {"talk_on": 6}
TURNS = {"mode": 5, "over": 8}
FAULTS = {"cut": 9, "stall": 6, "isolate": 2, "restart": 4, "restart_server": 2, "start": 4}
WAITS = (0.0, 0.0, 0.01, 0.05, 0.1, 0.3, 1.0, 3.0, 9.0)
"""Seconds between two actions: much happens at once, and now and then there is peace."""


MANY, FEW = (25, 60), (4, 10)
"""How many actions a run has, and a short one."""


def script(
    seed: int, rules: Rules, kind_of: type[Action] = Action, more: dict[str, int] | None = None
) -> tuple[Action, ...]:
    """Choose the actions of `seed`, of the class `kind_of`, which also knows the kinds `more`."""
    random = Random(f"{seed} script")
    weights = PEACE | (TURNS if rules.turns else {}) | (FAULTS if rules.faults else {})
    weights |= HOMES if rules.homes else {}
    weights |= ROOMS if rules.rooms else {}
    weights |= ROOM_FAULTS if rules.rooms and rules.faults else {}
    weights |= more or {}
    # Each run has its own character: some of what may happen happens often in it, some never.
    liked = {kind: weight * random.choice((0, 1, 1, 1, 3)) for kind, weight in weights.items()}
    liked |= {"say": weights["say"], "call": weights["call"]}
    kinds = random.choices(
        list(liked), list(liked.values()), k=random.randint(*(FEW if rules.short else MANY))
    )
    return tuple(
        kind_of(
            kind,
            random.randrange(12),
            random.randrange(12),
            random.random(),
            random.choice(WAITS) * (0.5 + random.random()),
        )
        for kind in kinds
    )
