"""Whatever the network does, nothing is lost, told twice or told wrongly; and a seed tells all of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.actions import script
from tests.simulation.runs import Outcome, run, shrunk, traced
from tests.simulation.world import Rules

RULES = Rules(faults=True, turns=True, outbox=True)
"""What may happen in the runs, and what is promised."""
FEW = 4
"""Seeds whose traces are compared in several processes."""


def shown(outcome: Outcome) -> str:
    """A failing run at its shortest."""
    return shrunk(outcome, RULES).text()


def test_whatever_happens_nothing_is_lost(seeds: range) -> None:
    for seed in seeds:
        outcome = run(seed, RULES)
        if outcome.failure is not None:
            pytest.fail(shown(outcome), pytrace=False)


class SeedTests(SynchronousTestCase):
    def test_a_seed_has_the_same_trace_each_time(self) -> None:
        for seed in (3, 8):
            self.assertEqual(traced(seed, RULES), traced(seed, RULES))

    def test_another_process_sees_the_same_too(self) -> None:
        """Strings hash differently in each process, and objects lie elsewhere."""
        code = (
            "import hashlib\n"
            "from tests.simulation.runs import traced\n"
            "from tests.simulation.world import Rules\n"
            f"text = ''.join(traced(seed, {RULES!r}) for seed in range({FEW}))\n"
            "print(hashlib.sha256(text.encode()).hexdigest())\n"
        )
        here = Path(__file__).parents[2]
        found = {
            subprocess.run(
                [sys.executable, "-c", code],
                env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(here)},
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for hash_seed in ("1", "2")
        }
        text = "".join(traced(seed, RULES) for seed in range(FEW))
        self.assertEqual(found, {hashlib.sha256(text.encode()).hexdigest()})

    def test_seeds_differ(self) -> None:
        self.assertNotEqual(script(1, RULES), script(2, RULES))
        self.assertNotEqual(traced(1, RULES), traced(2, RULES))
