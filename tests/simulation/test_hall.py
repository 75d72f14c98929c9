"""Rooms in the simulation: one order for all, no gap and nothing twice, whatever breaks."""

from __future__ import annotations

import pytest

from tests.simulation.runs import run, shrunk
from tests.simulation.world import Rules

RULES = Rules(faults=True, outbox=True, rooms=True)
SEEDS, LONG_SEEDS = 30, 3000


def test_a_room_is_the_same_for_all_whatever_breaks(pytestconfig: pytest.Config) -> None:
    for seed in range(LONG_SEEDS if pytestconfig.getoption("--long") else SEEDS):
        outcome = run(seed, RULES)
        if outcome.failure is not None:
            pytest.fail(shrunk(outcome, RULES).text(), pytrace=False)
