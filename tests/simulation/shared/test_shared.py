"""Rooms of several servers hold, whatever Redis, the network and the servers do."""

from __future__ import annotations

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.runs import run, shrunk, traced
from tests.simulation.world import Rules

RULES = Rules(faults=True, shared=True)
EVERY = 5
"""Of so many seeds one is run: each takes half a second."""


def test_whatever_happens_a_shared_room_has_one_order(seeds: range) -> None:
    for seed in seeds[::EVERY]:
        outcome = run(seed, RULES)
        if outcome.failure is not None:
            pytest.fail(shrunk(outcome, RULES).text(), pytrace=False)


class SeedTests(SynchronousTestCase):
    def test_a_seed_has_the_same_trace_each_time(self) -> None:
        self.assertEqual(traced(3, RULES), traced(3, RULES))
