"""Routers in the simulation: people come together however they can, and nothing is lost on the way."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import MessageReceived, SessionChanged
from chatproto.session.paths import BETTER_EVERY, RELAY_AFTER
from tests.simulation.person import Person
from tests.simulation.routers import Router
from tests.simulation.runs import run, shrunk
from tests.simulation.world import STRANGER, Rules, World

RULES = Rules(faults=True, turns=True, outbox=True, homes=True)
PEACE = Rules(outbox=True, homes=True)
SEEDS, LONG_SEEDS = 20, 3000
SOON = 3.0
"""Seconds for all else that it takes: now and then an answer is late here."""


def test_whatever_routers_there_are_nothing_is_lost(pytestconfig: pytest.Config) -> None:
    for seed in range(LONG_SEEDS if pytestconfig.getoption("--long") else SEEDS):
        outcome = run(seed, RULES)
        if outcome.failure is not None:
            pytest.fail(shrunk(outcome, RULES).text(), pytrace=False)


def two(seed: int) -> tuple[World, Person, Person]:
    """The first two of a world in which nobody is a stranger and the second takes every call."""
    while True:
        world = World(seed, PEACE)
        one, other = world.people[:2]
        if world.people[-1].name != STRANGER and other.settings.answer == "all":
            return world, one, other
        seed += 1000


def ways(world: World, person: Person, since: float = 0.0) -> list[str]:
    """The ways that `person` was told of."""
    return [
        entry.path
        for at, who, _, entry in told(world)
        if who == person.name and at >= since and entry.path is not None
    ]


def told(world: World) -> list[tuple[float, str, str, SessionChanged]]:
    """List the reported changes of conversations."""
    return [
        (at, who, what, details[0])
        for at, who, what, details in world.trace.entries
        if what == "tells" and isinstance(details[0], SessionChanged)
    ]


class PairTests(SynchronousTestCase):
    def meet(self, seed: int, here: Router, there: Router) -> tuple[World, Person, Person]:
        """Two talk, each from behind a router."""
        world, one, other = two(seed)
        assert world.network.routers is not None
        world.network.routers.kinds |= {one.host: here, other.host: there}
        world.__enter__()
        self.addCleanup(world.__exit__)
        assert one.node is not None
        one.node.chat(other.name)
        world.say(one, other.name, "hello")
        return world, one, other

    def test_each_pair_has_its_way_and_soon(self) -> None:
        for seed, (here, there) in enumerate(combinations_with_replacement(Router, 2)):
            pair = {here, there}
            relayed = Router.SHUT in pair or (
                Router.RANDOM in pair and pair <= {Router.RANDOM, Router.KEEPS}
            )
            world, one, other = self.meet(seed, here, there)
            world.pass_time(SOON + (RELAY_AFTER if relayed else 1.0))
            for person in (one, other):
                found = ways(world, person)
                self.assertEqual(found, ["relay" if relayed else "lan"], (here, there))

    def test_two_dials_meet_in_the_middle(self) -> None:
        world, _, _ = self.meet(1, Router.KEEPS, Router.KEEPS)
        world.pass_time(SOON)
        self.assertEqual([what for _, _, what, _ in world.trace.entries].count("meets"), 1)

    def test_a_direct_way_that_is_there_later_takes_over_and_nobody_sees_a_break(self) -> None:
        world, one, other = self.meet(2, Router.RANDOM, Router.KEEPS)
        world.pass_time(2 * SOON + RELAY_AFTER)
        assert world.network.routers is not None
        world.network.routers.kinds[one.host] = Router.NONE
        since = world.clock.seconds()
        said: list[str] = []
        while world.clock.seconds() < since + BETTER_EVERY + 5.0:
            for person, to in ((one, other), (other, one)):
                said.append(f"{person.name} {len(said)}")
                world.say(person, to.name, said[-1])
            world.pass_time(0.25)
        for person in (one, other):
            self.assertEqual(ways(world, person, since), ["lan"])
        heard = [
            details[0].text
            for _, _, what, details in world.trace.entries
            if what == "tells" and isinstance(details[0], MessageReceived)
        ]
        self.assertEqual(sorted(heard), sorted(["hello", *said]))
        self.assertNotIn("broken", [event.state for *_, event in told(world)])
