"""Runs of seeds: what came of one, and the shortest that fails in the same way."""

from __future__ import annotations

import gc
import traceback
from dataclasses import dataclass

from tests.simulation.actions import Action, script
from tests.simulation.lying_actions import lying_script
from tests.simulation.lying_world import LyingWorld
from tests.simulation.plain_world import PlainWorld, plain_script
from tests.simulation.shared.world import SharedWorld, shared_script
from tests.simulation.trace import Trace
from tests.simulation.world import NAMES, STRANGER, Rules, World

MOST_RUNS = 300
"""How often a failing run is tried again with something left out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a run: the failure or None, and everything that happened."""

    seed: int
    actions: tuple[Action, ...]
    failure: str | None
    trace: Trace

    def text(self) -> str:
        """All of it, for a person."""
        return "\n".join(
            [
                f"seed {self.seed} fails; python -m pytest tests/simulation --seed {self.seed}",
                *self.trace.lines(),
                str(self.failure),
            ]
        )


def planned(seed: int, rules: Rules) -> tuple[Action, ...]:
    """Choose the actions of `seed` under `rules`."""
    if rules.shared:
        return shared_script(seed)
    if rules.lies:
        return lying_script(seed, rules)
    return plain_script(seed, rules) if rules.plain else script(seed, rules)


def world_of(seed: int, rules: Rules) -> World | SharedWorld:
    """The world of `seed` under `rules`."""
    if rules.shared:
        return SharedWorld(seed)
    if rules.lies:
        return LyingWorld(seed, rules)
    return PlainWorld(seed, rules) if rules.plain else World(seed, rules)


def run(seed: int, rules: Rules, actions: tuple[Action, ...] | None = None) -> Outcome:
    """Run `seed`, or other `actions` in its world, and return the result."""
    actions = planned(seed, rules) if actions is None else actions
    failure = None
    world = world_of(seed, rules)
    try:
        with world:
            for action in actions:
                world.step(action)
            world.finish()
            gc.collect(0)  # an error that nobody looked at is logged when it is thrown away
            world.errors.check()
    except Exception:  # whatever it is, it is what this seed shows
        failure = traceback.format_exc()
    return Outcome(seed, actions, failure, world.trace)


def traced(seed: int, rules: Rules) -> str:
    """The whole trace of `seed`, failing or not."""
    return "\n".join(run(seed, rules).trace.lines())


def shrunk(outcome: Outcome, rules: Rules) -> Outcome:
    """The same with as many actions left out as a few hundred runs can find."""
    size, runs = max(1, len(outcome.actions) // 2), 0
    while runs < MOST_RUNS:
        at, before = 0, len(outcome.actions)
        while at < len(outcome.actions) and runs < MOST_RUNS:
            fewer = outcome.actions[:at] + outcome.actions[at + size :]
            tried = run(outcome.seed, rules, fewer)
            runs += 1
            if tried.failure is not None and _kind(tried) == _kind(outcome):
                outcome = tried
            else:
                at += size
        if size == 1 and len(outcome.actions) == before:
            break
        size = max(1, size // 2)
    return outcome


def _kind(outcome: Outcome) -> str:
    """The beginning of the last line without names: the same mistake, whoever makes it."""
    last = str(outcome.failure).strip().splitlines()[-1]
    words = [word for word in last.split() if word.isalpha() and word not in (*NAMES, STRANGER)]
    return " ".join(words[:5])
