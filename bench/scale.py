"""Measure the limits of one machine: `python bench/scale.py [PART...]`.

`throughput`: REGISTERs per second with 1, 2 and 3 processes, each on its own port. `names`: many ids in
one process, and its start with them. `clients`: many connected keyed clients on one process.
`restart`: a server restarted under many clients, and how fast they return. `growth`: what 1, 3 and 10
servers over a Redis of their own cost, each and together; `registered`: only the last part of that.
`--store redis://127.0.0.1:6379/9` needs a running Redis with an empty database.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import growth_servers
from bench.measure import (
    CannotMeasure,
    built_loadgen,
    cpu,
    machine,
    median,
    run_loadgen,
    table,
    workplace,
)
from bench.requests import MODES
from bench.servers import PATIENCE, Crowds, need_files, resident, running, subject
from tests.ports import free_port
from tests.redis_process import FOUND

Figures = dict[str, Any]
SERVER_FILES = 100
"""Open files of a server that are no connections."""


# The parts.


def throughput(place: Path, options: argparse.Namespace) -> Figures:
    """By number of processes and mode: REGISTERs a second in all, and server CPU of each in us."""
    loadgen = built_loadgen(place)
    found: Figures = {}
    for count in options.processes:
        servers = [subject(place, f"t{count}-{n}", options.store) for n in range(count)]
        rows: dict[str, dict[str, list[float]]] = {}
        with running(place, *servers), ThreadPoolExecutor(count) as threads:
            for mode, words in MODES.items():
                row = rows[mode] = {"req_per_s": [], "server_us_per_req": []}
                keys = [*words, "--keys", str(options.keys)]
                for _ in range(options.rounds):
                    reports = list(
                        threads.map(
                            lambda one, keys=keys: run_loadgen(loadgen, one, keys, options.seconds),
                            servers,
                        )
                    )
                    row["req_per_s"].append(sum(one["req_per_s"] for one in reports))
                    row["server_us_per_req"].append(
                        sum(one["server_us_per_req"] for one in reports) / count
                    )
        found[str(count)] = rows
        print(f"throughput of {count} measured", file=sys.stderr)
    return found


def registered(port: int) -> float:
    """Read the number of classic registrations from the metrics on `port`."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as page:
        lines = page.read().decode().splitlines()
    shown = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return float(shown["chatserver_registered_classic"])


def names(place: Path, options: argparse.Namespace) -> Figures:
    """Registering many names, the memory of each, and the next start with all of them."""
    loadgen = built_loadgen(place)
    looked_at = free_port()
    server = subject(place, "names", options.store, "--metrics", str(looked_at), others=[looked_at])
    lasting = not options.store.startswith("memory")
    with running(place, server):
        before, spent = resident(server), cpu(server.pid)
        begun = time.monotonic()
        # The ids go round in order, from the first in each window.
        words = [*MODES["pipelined"], "--keys", str(options.names)]
        asked, window = 0.0, 1.0
        while registered(looked_at) < options.names:
            if window > PATIENCE:
                raise CannotMeasure(f"{options.names} names were not registered within {window} s")
            asked += run_loadgen(loadgen, server, words, window)["req_per_s"] * window
            window *= 2
        took, used = time.monotonic() - begun, cpu(server.pid) - spent
        figures = {
            "names": options.names,
            "bytes a name": (resident(server) - before) / options.names,
            "requests": asked,
            "seconds": took,
            "us of CPU a request": used / asked * 1e6,
        }
    if lasting:
        begun = time.monotonic()
        with running(place, server):
            figures["seconds until it answers again"] = time.monotonic() - begun
    return figures


def clients(place: Path, options: argparse.Namespace) -> Figures:
    """Many connected clients: memory and CPU of each, and what they cost while they are silent."""
    count = options.clients
    need_files(count + SERVER_FILES)
    server = subject(place, "clients", options.store)
    with running(place, server):
        before, spent = resident(server), cpu(server.pid)
        crowds = Crowds(server.port, count, options.pace)
        try:
            said = crowds.until(lambda here: here == count)
            came, used = said[-1][0] - said[0][0], cpu(server.pid) - spent
            memory = resident(server) - before
            idle, since = cpu(server.pid), time.monotonic()
            while time.monotonic() < since + options.silence:
                if crowds.lines()[1] != count:
                    raise CannotMeasure("somebody went away")
            idle = (cpu(server.pid) - idle) / (time.monotonic() - since)
        finally:
            crowds.end()
    return {
        "clients": count,
        "seconds until all were there": came,
        "ms of CPU a client who comes": used / count * 1e3,
        "KiB a client": memory / count / 1024,
        "MiB in all": (before + memory) / 2**20,
        "CPU while they are silent": idle,
    }


def restart(place: Path, options: argparse.Namespace) -> Figures:
    """A server that ends and is started again under many: how they come back."""
    count = options.restarted
    need_files(count + SERVER_FILES)
    server = subject(place, "restart", options.store)
    with running(place, server):
        crowds = Crowds(server.port, count, options.pace)
        try:
            before = crowds.until(lambda here: here == count)[-1]
            begun = time.time()
            server.stop()
            ended = time.time() - begun
            server.start(place)
            down = time.time() - begun
            spent = cpu(server.pid)
            said = [before, *crowds.until(lambda here: here < count)]
            said += crowds.until(lambda here: here == count)
            used = cpu(server.pid) - spent
        finally:
            crowds.end()
    return {
        "clients": count,
        "seconds until it had ended": ended,
        "seconds until it answered again": down,
        "seconds until all were back": said[-1][0] - begun,
        "dials a second at most": peak(said, 2),
        "arrivals a second at most": peak(said, 3),
        "dials a client": (said[-1][2] - before[2]) / count,
        "seconds of CPU of the server": used,
    }


def peak(said: Sequence[tuple[float, ...]], column: int) -> float:
    """The most that a count rose in any second."""
    most = 0.0
    for number, late in enumerate(said):
        for early in said[:number]:
            if 0.9 <= late[0] - early[0] <= 1.1:
                most = max(most, (late[column] - early[column]) / (late[0] - early[0]))
    return most


def growth(place: Path, options: argparse.Namespace) -> Figures:
    """Several servers over one Redis. It has many windows, so they are half as long."""
    seconds, rounds, registered = options.seconds / 2, options.rounds, options.registered
    return dict(growth_servers.growth(place, seconds, rounds, registered))


def registered_elsewhere(place: Path, options: argparse.Namespace) -> Figures:
    """Three servers over one Redis in which very many are registered: the last part of `growth`."""
    return dict(growth_servers.beside(place, options.seconds / 2, options.registered))


GOALS = {"KiB a client": 45.0, **growth_servers.GOALS}
"""What each figure may be at most."""
PARTS = {
    "throughput": throughput,
    "names": names,
    "clients": clients,
    "restart": restart,
    "growth": growth,
    "registered": registered_elsewhere,
}
ON_REDIS = ("growth", "registered")
"""Parts that start a Redis of their own."""


def main() -> int:
    """Measure the parts that were asked for, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--store", default="memory:", help="what the servers keep it in")
    parser.add_argument("--processes", type=_numbers, default=[1, 2, 3], help="such as 1,2,3")
    parser.add_argument("--keys", type=int, default=1000, help="throughput: ids that take turns")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--rounds", type=int, default=3, help="windows for each")
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=15_000)
    parser.add_argument("--restarted", type=int, default=10_000, help="clients of `restart`")
    parser.add_argument("--pace", type=float, default=150.0, help="clients that come in a second")
    parser.add_argument(
        "--registered", type=int, default=100_000, help="ids elsewhere in the last part of `growth`"
    )
    parser.add_argument("--silence", type=float, default=30.0, help="seconds of silence measured")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    parts = options.parts or list(PARTS)
    if not options.parts:
        parts.remove("registered")  # a part of `growth`
    if not options.parts and FOUND is None:
        parts.remove("growth")
        print("growth: no redis-server here, left out", file=sys.stderr)
    for part in parts:
        if part not in PARTS:
            print(f"there is no part {part!r}, only {', '.join(PARTS)}", file=sys.stderr)
            return 1
    found: Figures = {}
    with workplace() as folder:
        for part in parts:
            try:
                found[part] = PARTS[part](Path(folder), options)
            except CannotMeasure as error:
                print(f"{part}: {error}", file=sys.stderr)
                return 1
            show(part, found[part], options)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "figures": found}, indent=1))
    return 0


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def judged(value: float, goal: float | None) -> tuple[str, str]:
    """Return the two last cells of a figure: what it may be at most, and whether it is."""
    if goal is None:
        return "", ""
    return f"{goal:.3g}", "reached" if value <= goal else "missed"


def show(part: str, figures: Figures, options: argparse.Namespace) -> None:
    """One part, as a table."""
    store = "redis:" if part in ON_REDIS else options.store
    print(f"\n{part}: {store}, {machine()}")
    if part != "throughput":
        rows = [
            [name, f"{value:.4g}", *judged(value, GOALS.get(name))]
            for name, value in figures.items()
        ]
        print(table(["", "", "goal", ""], rows))
        return
    head = ["processes"]
    for mode in MODES:
        head += [f"{mode}: a second", "us of CPU each"]
    rows = []
    for count, modes in figures.items():
        row = [count]
        for costs in modes.values():
            row.append(f"{median(costs['req_per_s']):.0f}")
            row.append(f"{median(costs['server_us_per_req']):.2f}")
        rows.append(row)
    print(table(head, rows))


if __name__ == "__main__":
    sys.exit(main())
