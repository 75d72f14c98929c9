"""Test with a lying server and peer that a message is read by the owner of its key or by nobody."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Delivered, MessageReceived, Sent, Undelivered
from chatproto.identity.pins import Pin, Pins
from tests.simulation.invariants import Broken
from tests.simulation.lying_world import LIAR, NOBODY, LyingWorld
from tests.simulation.person import SERVER
from tests.simulation.runs import run, shrunk, traced
from tests.simulation.world import Rules

RULES = Rules(faults=True, outbox=True, lies=True, short=True)
LONG_RULES = Rules(faults=True, outbox=True, lies=True)
PARTS = 10
"""Tests that the seeds are divided into, so that several processes share them."""
SEEDS, LONG_SEEDS = 500, 5000


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_said_for_a_key_is_heard_by_its_owner_or_by_nobody(
    pytestconfig: pytest.Config, part: int
) -> None:
    long = pytestconfig.getoption("--long")
    rules = LONG_RULES if long else RULES
    for seed in range(part, LONG_SEEDS if long else SEEDS, PARTS):
        outcome = run(seed, rules)
        if outcome.failure is not None:
            pytest.fail(shrunk(outcome, rules).text(), pytrace=False)


class SeedTests(SynchronousTestCase):
    def test_a_seed_has_the_same_trace_each_time(self) -> None:
        for seed in (3, 8):
            self.assertEqual(traced(seed, RULES), traced(seed, RULES))


class BooksTests(SynchronousTestCase):
    """The books see each way in which something can come to the wrong one."""

    def setUp(self) -> None:
        self.world = LyingWorld(4, RULES)
        self.books = self.world.books
        self.ann, self.bob = self.world.people[:2]
        self.ann.pins.put(Pin("-", "bob", self.bob.key))
        self.bob.pins.put(Pin("-", "ann", self.ann.key))
        self.text = "ann>bob 1 1"
        self.say(self.text)

    def say(self, text: str) -> None:
        self.books.begin("ann", "bob", text)
        self.books.end(text)

    def hears(self, text: str, from_: str = "ann", who: str = "bob", id: int | None = None) -> None:
        self.books.told(who, MessageReceived(from_=from_, text=text, id=id))

    def mistakes(self) -> int:
        return len(self.books.leaks)

    def test_all_may_go_well(self) -> None:
        self.books.written("ann", self.bob.key, b"MSG\r\n\r\n" + self.text.encode())
        self.books.told("ann", Sent(self.text, 1, to="bob"))
        self.hears(self.text)
        self.books.told("ann", Delivered("bob", 1))
        self.assertEqual(self.books.leaks, [])

    def test_a_text_that_is_written_to_another_key_or_in_plain_text(self) -> None:
        for number, key in enumerate((None, *self.world.liar.keys, self.ann.key), 1):
            self.books.written("ann", key, self.text.encode())
            self.assertEqual(self.mistakes(), number)

    def test_a_text_that_the_liar_reads(self) -> None:
        self.books.heard_by_liar(self.world.liar.keys[0], self.text)
        self.assertEqual(self.mistakes(), 1)

    def test_a_name_that_reaches_somebody_else(self) -> None:
        lie = self.world.liar_says("bob", self.world.liar.keys[1])
        self.hears(lie, from_="ann?")
        self.assertEqual(self.mistakes(), 0)
        self.hears(lie, from_="ann")
        self.assertEqual(self.mistakes(), 1)

    def test_a_text_that_comes_twice_or_to_another_or_from_nobody(self) -> None:
        self.hears(self.text)
        self.hears(self.text)
        self.hears("ann>bob 7 7")
        self.assertEqual(self.mistakes(), 2)

    def test_lies_in_plain_text_that_come_together_or_in_pieces(self) -> None:
        one, two = self.world.liar_says("bob", None), self.world.liar_says("", None)
        for text in (f"{one}\r\n{two}", one[:3], f"{one[3:]}\r\n"):
            self.hears(text, from_="10.0.0.66:5000")
        self.assertEqual(self.books.leaks, [])
        self.hears(f"{one}\r\nbob>ann 9 9", from_="10.0.0.66:5000")
        self.assertEqual(self.mistakes(), 1)

    def test_a_log_has_what_came_inside_tls_in_that_order(self) -> None:
        later, plain = "ann>bob 2 2", "ann>bob 3 3"
        self.say(later)
        self.say(plain)
        self.books.messages[self.text].key = None  # said before a key was known
        self.hears(later, id=1)
        self.hears(plain)
        self.hears(self.text, id=2)
        self.assertEqual(self.books.leaks, [])
        heard = [one.text for one in self.books.heard("ann", "bob")]
        self.assertEqual(heard, [later, self.text])

    def test_an_id_that_somebody_only_claims_is_a_first_contact(self) -> None:
        person: Any = self.ann
        person.pins.pins, person.server = Pins(), SERVER
        claims: Any = SimpleNamespace(key=self.world.liar.keys[0], in_plain_text=False)
        named = {"bob?": claims}
        person.node = SimpleNamespace(calls=SimpleNamespace(all=SimpleNamespace(named=named.get)))
        self.say("ann>bob 2 2")
        self.books.written("ann", self.bob.key, b"ann>bob 2 2")
        self.assertEqual(self.mistakes(), 0)
        self.books.written("ann", claims.key, b"ann>bob 2 2")
        self.assertEqual(self.mistakes(), 1)

    def test_reports_that_are_not_true(self) -> None:
        self.books.told("ann", Sent(self.text, 1, to="bob"))
        self.books.told("ann", Delivered("bob", 1))
        self.assertEqual(self.mistakes(), 1)
        self.hears(self.text)
        self.books.told("ann", Undelivered("bob", "why", text=self.text))
        self.assertEqual(self.mistakes(), 2)

    def test_it_raises_when_the_world_looks(self) -> None:
        self.books.leaks.append("a mistake")
        self.assertRaises(Broken, self.world.check)

    def test_the_meaning_of_a_name(self) -> None:
        meant: Any = self.world.meant
        self.assertEqual(meant(self.ann, "bob"), self.bob.key)
        self.assertIsNone(meant(self.ann, LIAR))
        self.ann.pins.put(Pin("sha256:" + "A" * 52, LIAR, self.world.liar.keys[0]))
        self.assertEqual(meant(self.ann, LIAR), self.world.liar.keys[0])
        self.ann.pins.put(Pin("sha256:" + "B" * 52, LIAR, self.world.liar.keys[1]))
        self.assertEqual(meant(self.ann, LIAR), NOBODY)
