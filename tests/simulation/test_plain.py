"""People in plain text: no text comes twice, late or under another's name, and none is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import MessageReceived, Sent, Undelivered
from tests.simulation.invariants import Broken
from tests.simulation.plain_world import PlainBooks, PlainWorld
from tests.simulation.runs import run, shrunk
from tests.simulation.world import Rules

FAULTS = Rules(faults=True, plain=True, short=True)
PEACE = Rules(plain=True, short=True)
LONG_FAULTS = Rules(faults=True, plain=True, turns=True)
SEEDS, LONG_SEEDS = 60, 2500


def check(rules: Rules, count: int) -> None:
    for seed in range(count):
        outcome = run(seed, rules)
        if outcome.failure is not None:
            pytest.fail(shrunk(outcome, rules).text(), pytrace=False)


def test_whatever_happens_every_text_is_written_or_reported(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--long"):
        check(LONG_FAULTS, LONG_SEEDS)
    check(FAULTS, SEEDS)


def test_where_nothing_breaks_what_was_written_is_read(pytestconfig: pytest.Config) -> None:
    check(PEACE, LONG_SEEDS if pytestconfig.getoption("--long") else SEEDS)


class BooksTests(SynchronousTestCase):
    """The books see each mistake that a program could make in plain text."""

    def setUp(self) -> None:
        self.world = PlainWorld(1, PEACE)
        self.books = PlainBooks(self.world)
        for number in (1, 2):
            self.books.begin("ann", "bob", f"<ann>bob:{number}..|")
            self.books.end(f"<ann>bob:{number}..|")

    def hears(self, text: str, from_: str = "ann", who: str = "bob") -> None:
        self.books.told(who, MessageReceived(from_=from_, text=text))

    def mistakes(self) -> int:
        return len(self.books.leaks)

    def test_all_may_go_well_whole_joined_or_in_pieces(self) -> None:
        self.books.told("ann", Sent("<ann>bob:1..|", to="bob"))
        self.hears("<ann>bo")
        self.hears("b:1..|<ann>bob:2")
        self.hears("..|")
        self.assertEqual(self.mistakes(), 0)
        self.assertTrue(all(one.received for one in self.books.texts.values()))

    def sends(self, text: str) -> None:
        self.books.told("ann", Sent(text, to="bob"))

    def reports(self, text: str) -> None:
        self.books.told("ann", Undelivered("bob", "why", text=text))

    def test_each_mistake(self) -> None:
        one, two = "<ann>bob:1..|", "<ann>bob:2..|"
        steps: list[Any]
        for steps in (
            [(self.hears, one), (self.hears, one)],
            [(self.hears, two), (self.hears, one)],
            [(self.hears, one, "cid")],
            [(self.hears, one, "ann", "cid")],
            [(self.hears, "<ann>bob:7..|")],
            [(self.hears, one), (self.reports, one)],
            [(self.reports, one), (self.hears, one)],
            [(self.reports, one), (self.reports, one)],
            [(self.reports, one), (self.sends, one)],
            [(self.sends, one), (self.sends, one)],
        ):
            self.setUp()
            for what, *values in steps:
                what(*values)
            self.assertEqual(self.mistakes(), 1, steps)

    def test_what_was_neither_written_nor_reported_is_found(self) -> None:
        self.books.told("ann", Sent("<ann>bob:1..|", to="bob"))
        self.assertEqual([one.number for one in self.books.unsettled()], [1])

    def test_a_text_for_one_with_a_key_is_seen_in_plain_text(self) -> None:
        self.books.begin("ann", "bob", "<ann>bob:3|", True)
        self.books.written("ann", "sha256:" + "B" * 52, b"<ann>bob:3|")
        self.assertEqual(self.mistakes(), 0)
        self.books.written("ann", None, b"<ann>bob:3|")
        self.assertEqual(self.mistakes(), 1)

    def test_it_raises_when_the_world_looks(self) -> None:
        self.world.books.leaks.append("a mistake")
        self.assertRaises(Broken, self.world.check)
