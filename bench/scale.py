"""Measure the limits of one machine: `python bench/scale.py [PART...]`.

`throughput`: REGISTERs per second with 1, 2 and 3 processes, each on its own port. `names`: many ids in
one process, and its start with them. `clients`: many connected keyed clients on one process.
`restart`: a server restarted under many clients, and how fast they return.
`--store redis://127.0.0.1:6379/9` needs a running Redis with an empty database.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import (
    HERE,
    CannotMeasure,
    Subject,
    built_loadgen,
    machine,
    median,
    raise_file_limit,
    run_loadgen,
    table,
    workplace,
)
from bench.requests import MODES, REGISTER, REGISTERED
from tests.ports import free_port

Figures = dict[str, Any]
SERVER_FILES = 100
"""Open files of a server that are no connections."""
EACH_CROWD = 8000
"""Clients in one process of the crowd; more make it the slowest part."""
PATIENCE = 300.0
"""Seconds within which all clients are there, or back."""
TICK = os.sysconf("SC_CLK_TCK")


def subject(place: Path, name: str, store: str, *more: str, others: Sequence[int] = ()) -> Subject:
    """A server of ours, with its `others` ports; those that share a store have one key, as they must."""
    port = free_port()
    home = place / name
    home.mkdir(mode=0o700, exist_ok=True)
    key = place / "key.pem"
    if not key.exists():
        command = "import sys; from pathlib import Path; from chatproto.identity.keys import *"
        make = f"{command}; open_identity(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", make, str(place)], check=True)
    (home / "key.pem").write_bytes(key.read_bytes())
    (home / "key.pem").chmod(0o600)
    twistd = str(Path(sys.executable).parent / "twistd")
    where = ["--port", f"tcp:{port}:interface=127.0.0.1", "--home", str(home), "--store", store]
    where += ["--limits", "new-ids-per-address=1000000"]  # all come from this machine
    command_line = [twistd, "-n", "--pidfile=", "chatserver", "--quiet", *where, *more]
    return Subject(name, command_line, port, REGISTER, REGISTERED, others)


@contextmanager
def running(place: Path, *subjects: Subject) -> Iterator[None]:
    """With these started, and then ended."""
    try:
        for one in subjects:
            one.start(place)
        yield
    finally:
        for one in subjects:
            one.stop()


def resident(one: Subject) -> int:
    """Bytes of memory that its process holds."""
    assert one.process is not None
    pages = Path(f"/proc/{one.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cpu(one: Subject) -> float:
    """Seconds of CPU that its process has used."""
    assert one.process is not None
    fields = Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def need_files(count: int) -> None:
    """Raise the soft limit, which our children inherit. Raises CannotMeasure if it is too small."""
    have = raise_file_limit(count)
    if have < count:
        raise CannotMeasure(
            f"{count} open files are needed, and the hard limit is {have} (ulimit -Hn)"
        )


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
        before, spent = resident(server), cpu(server)
        begun = time.monotonic()
        # The ids go round in order, from the first in each window.
        words = [*MODES["pipelined"], "--keys", str(options.names)]
        asked, window = 0.0, 1.0
        while registered(looked_at) < options.names:
            if window > PATIENCE:
                raise CannotMeasure(f"{options.names} names were not registered within {window} s")
            asked += run_loadgen(loadgen, server, words, window)["req_per_s"] * window
            window *= 2
        took, used = time.monotonic() - begun, cpu(server) - spent
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


class Crowds:
    """Processes of clients, and what they say."""

    def __init__(self, port: int, count: int, pace: float) -> None:
        self.count = count
        self._programs = []
        parts = -(-count // EACH_CROWD)
        for part in range(parts):
            first, last = count * part // parts, count * (part + 1) // parts
            words = [str(port), "--count", str(last - first), "--first", str(first)]
            self._programs.append(
                subprocess.Popen(
                    [sys.executable, HERE / "crowd.py", *words, "--pace", str(pace / parts)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )

    def lines(self) -> tuple[float, int, int, int]:
        """The next lines of all, added up: when, how many are here, dials and arrivals so far."""
        moment, here, dials, arrivals = 0.0, 0, 0, 0
        for program in self._programs:
            assert program.stdout is not None
            line = program.stdout.readline().split()
            if len(line) != 4:
                raise CannotMeasure("the crowd has ended")
            moment = max(moment, float(line[0]))
            here, dials, arrivals = (
                here + int(line[1]),
                dials + int(line[2]),
                arrivals + int(line[3]),
            )
        return moment, here, dials, arrivals

    def until(self, fact: Callable[[int], bool]) -> list[tuple[float, int, int, int]]:
        """Collect the clients' reports until `fact` holds of their number. Raises CannotMeasure."""
        said = [self.lines()]
        while not fact(said[-1][1]):
            if said[-1][0] - said[0][0] > PATIENCE:
                raise CannotMeasure(f"only {said[-1][1]} of {self.count} were there in the end")
            said.append(self.lines())
        return said

    def end(self) -> None:
        for program in self._programs:
            program.communicate()


def clients(place: Path, options: argparse.Namespace) -> Figures:
    """Many connected clients: memory and CPU of each, and what they cost while they are silent."""
    count = options.clients
    need_files(count + SERVER_FILES)
    server = subject(place, "clients", options.store)
    with running(place, server):
        before, spent = resident(server), cpu(server)
        crowds = Crowds(server.port, count, options.pace)
        try:
            said = crowds.until(lambda here: here == count)
            came, used = said[-1][0] - said[0][0], cpu(server) - spent
            memory = resident(server) - before
            idle, since = cpu(server), time.monotonic()
            while time.monotonic() < since + options.silence:
                if crowds.lines()[1] != count:
                    raise CannotMeasure("somebody went away")
            idle = (cpu(server) - idle) / (time.monotonic() - since)
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
            spent = cpu(server)
            said = [before, *crowds.until(lambda here: here < count)]
            said += crowds.until(lambda here: here == count)
            used = cpu(server) - spent
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


GOALS = {"KiB a client": 45.0}
PARTS = {"throughput": throughput, "names": names, "clients": clients, "restart": restart}


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
    parser.add_argument("--silence", type=float, default=30.0, help="seconds of silence measured")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    parts = options.parts or list(PARTS)
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


def show(part: str, figures: Figures, options: argparse.Namespace) -> None:
    """One part, as a table."""
    print(f"\n{part}: {options.store}, {machine()}")
    if part != "throughput":
        rows = [
            [name, f"{value:.4g}", f"goal {GOALS[name]:g}" if name in GOALS else ""]
            for name, value in figures.items()
        ]
        print(table(["", "", ""], rows))
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
