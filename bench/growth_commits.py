"""Compare servers over one Redis at two commits: `python bench/growth_commits.py [THEN [NOW]]`.

Each commit is taken from the history and runs in this environment, with 1, 3 and 10 servers, each group in a
database of its own. Both bear the same load in turns, so that what else the machine does hits both alike.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.commits import known_limits, source_of
from bench.growth_servers import (
    COUNTS,
    MEMBERS,
    NEW_IDS,
    PEOPLE,
    REST,
    Group,
    own_redis,
    sessions,
    without_limits,
)
from bench.measure import (
    CannotMeasure,
    Subject,
    built_loadgen,
    compare,
    machine,
    median,
    run_loadgen,
    table,
)
from bench.requests import MODES
from bench.rooms import tls
from bench.servers import PATIENCE, resident, running
from tests.redis_process import Redis

COMMITS = ("f9d4db7", "HEAD")
"""The commit at which each server had a copy of all, and what is committed now."""
IDS = 5_000
"""New ids, at least, that are registered at the first server."""
OTHERS = "CPU of the others in %"
"""Of that of the one that is asked for new classic registrations."""
SESSION = "CPU a session in ms"
"""Of each server, for one session with a key at any of them."""
MEMORY = "memory in MiB"
"""That each server needs for 10,000 classic registrations at the first."""
Figures = dict[str, dict[str, dict[str, list[float]]]]
"""A number for each round, by number of servers, commit and figure."""


class Version:
    """One commit, of which servers are made."""

    def __init__(self, commit: str, place: Path) -> None:
        place.mkdir()
        self.commit = commit
        self._place = place
        self._environment = {"PYTHONPATH": str(source_of(commit, place))}
        self._limits = known_limits(self._environment)

    def server(self, name: str, store: str) -> Subject:
        """Make a server without the limits that this commit does not know."""
        made = without_limits(self._place, name, store)
        command = [
            word
            for word in made.command
            if not word.startswith("--limits=") or word.split("=")[1] in self._limits
        ]
        return replace(made, command=command, environment=self._environment)


def registrations(group: Group, loadgen: Path, seconds: float) -> tuple[float, float]:
    """Have new ids registered at the first server; return the figures `OTHERS` and `MEMORY`."""
    first = replace(group.servers[0], request=NEW_IDS)
    before, asked = sum(map(resident, group.servers)), 0.0

    def load() -> None:
        nonlocal asked
        until = time.monotonic() + PATIENCE
        while asked < IDS:
            if time.monotonic() > until:
                raise CannotMeasure(f"{first.name} did not register {IDS} ids in {PATIENCE} s")
            rate = run_loadgen(loadgen, first, MODES["pipelined"], seconds)["req_per_s"]
            asked += rate * seconds

    its, *others = group.spent(load)
    grown = sum(map(resident, group.servers)) - before
    each = grown / len(group.servers) / asked * 10_000
    return max(sum(others), 0.0) / its * 100, each / 2**20


def measure(place: Path, redis: Redis, options: argparse.Namespace) -> Figures:
    """Measure both commits with each number of servers. Raises CannotMeasure."""
    loadgen = built_loadgen(place)
    versions = [
        Version(commit, place / f"{number}") for number, commit in enumerate(options.commits)
    ]
    found: Figures = {}
    for count in options.counts:
        groups = []
        for number, version in enumerate(versions):
            database = COUNTS.index(count) * len(versions) + number
            store = f"redis://127.0.0.1:{redis.port}/{database}"
            servers = [version.server(f"g{count}-{one}", store) for one in range(count)]
            groups.append(Group(servers, []))
        with running(place, *(one for group in groups for one in group.servers)):
            found[f"{count} server{'s' if count > 1 else ''}"] = {
                version.commit: figures
                for version, figures in zip(
                    versions, in_turns(groups, loadgen, options), strict=True
                )
            }
        print(f"{count} measured", file=sys.stderr)
    return found


def in_turns(
    groups: list[Group], loadgen: Path, options: argparse.Namespace
) -> list[dict[str, list[float]]]:
    """Measure groups of servers in turns, and return the figures of each."""
    keys: list[list[ssl.SSLContext]] = [
        [tls(loadgen.parent, "bcp/2") for _ in range(MEMBERS + PEOPLE)] for _ in groups
    ]
    found: list[dict[str, list[float]]] = [{} for _ in groups]
    for group, figures in zip(groups, found, strict=True):
        group.rest(max(options.seconds, REST))
        others, grown = registrations(group, loadgen, options.seconds)
        figures |= {OTHERS: [others], MEMORY: [grown], SESSION: []}
    for _ in range(options.rounds):
        for group, own, figures in zip(groups, keys, found, strict=True):
            group.rest(max(options.seconds, REST))
            spent = sum(sessions(group, own, options.seconds))
            figures[SESSION].append(spent / len(group.servers) * 1e3)
    return found


def main() -> int:
    """Measure, print the table, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commits", nargs="*", metavar="COMMIT", default=COMMITS)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--rounds", type=int, default=5, help="windows of sessions for each")
    parser.add_argument("--counts", type=_counts, default=COUNTS, help="such as 1,3")
    return compare(parser, over_redis, show)


def over_redis(place: Path, options: argparse.Namespace) -> Figures:
    """Measure over a Redis of its own. Raises CannotMeasure."""
    with own_redis(place) as redis:
        return measure(place, redis, options)


def show(figures: Figures, options: argparse.Namespace) -> None:
    """Print the table: each figure by number of servers and commit."""
    print(f"servers over one Redis, sessions: medians of {options.rounds} rounds; {machine()}\n")
    rows = [
        [
            what,
            *(f"{median(one[what]):.3g}" for found in figures.values() for one in found.values()),
        ]
        for what in (OTHERS, SESSION, MEMORY)
    ]
    head = [f"{count}: {commit}" for count, found in figures.items() for commit in found]
    print(table(["", *head], rows))


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(one) for one in text.split(","))
    if not set(counts) <= set(COUNTS):
        raise argparse.ArgumentTypeError(f"choose from {COUNTS}")
    return counts


if __name__ == "__main__":
    sys.exit(main())
