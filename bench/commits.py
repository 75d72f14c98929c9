"""Compare commits of this program in one run: `python bench/commits.py [COMMIT...]`.

Each commit is taken from the history and runs in this environment, under the loads of the other
benchmarks. All are measured in turns, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.carriers import Ours as FileEnds
from bench.measure import (
    HERE,
    CannotMeasure,
    Subject,
    built_loadgen,
    compare,
    machine,
    median,
    run_loadgen,
    table,
)
from bench.requests import MODES, REGISTER, REGISTERED, ask_all
from bench.room_members import Bare, Ours, Room
from bench.rooms import MEMBERS, RATE, SENDERS, UNLIMITED, measured, tls
from bench.servers import Crowds, resident
from tests.ports import free_port

COMMITS = ("f9d4db7", "866e7bc", "3889ed8", "HEAD")
"""The commit that all speed is compared with, two in the middle of the way, and what is committed now."""
IDS = 20_000
PACE = 150.0
MIB = 1024 * 1024
UNITS = {
    "request, own": "us",
    "request, pipelined": "us",
    "lobby, one in flight": "us",
    "room in TLS, one in flight": "us",
    "room in TLS, 100 a second": "us",
    "start of the client to --help": "ms",
    "server at its start": "MiB",
    "a client in TLS": "KiB",
    "file, both ends": "s/GiB",
    "file, rate": "MB/s",
}
"""Figures in the order of the table. All but those of the last three are of CPU, or of memory."""
Figures = dict[str, dict[str, list[float]]]


@dataclass
class Version:
    """One commit: a server of it, the members of its room, and the ends of a file."""

    commit: str
    place: Path
    server: Subject
    files: FileEnds
    keys: list[ssl.SSLContext] = field(default_factory=list)
    """TLS of each member: an id belongs to the key that registered it first."""

    @classmethod
    def of(cls, commit: str, place: Path) -> Version:
        """Take the source of `commit` from the history. Raises CannotMeasure."""
        place.mkdir()
        environment = {"PYTHONPATH": str(source_of(commit, place))}
        return cls(
            commit,
            place,
            server(place / "server", environment, free_port()),
            FileEnds(place / "files", environment),
        )

    def start(self, loadgen: Path) -> None:
        """Start the server, register ids, and let the ends of a file meet."""
        self.server.start(self.place)
        ask_all(loadgen, self.server, IDS)
        self.files.start()
        self.keys = [tls(self.place, "bcp/2") for _ in range(MEMBERS)]

    def lobby(self) -> Room:
        """Fill the lobby. Members answer no PING, so they are there for one measurement only."""
        (port,) = self.server.others
        return Room([Bare(number, port, None) for number in range(MEMBERS)])

    def room(self) -> Room:
        """Fill the room in TLS."""
        return Room([Ours(n, self.server.port, key) for n, key in enumerate(self.keys)])

    def stop(self) -> None:
        """End what was started."""
        self.files.stop()
        self.server.stop()


def source_of(commit: str, place: Path) -> Path:
    """Take the source of `commit` from the history into a folder in `place`. Raises CannotMeasure."""
    source = place / "source"
    source.mkdir()
    archive = ["git", "archive", commit, "chatproto", "twisted"]
    packed = subprocess.run(archive, cwd=HERE.parent, capture_output=True, check=False)
    if packed.returncode:
        raise CannotMeasure(f"{commit}: {packed.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", source], input=packed.stdout, check=True)
    return source


def known_limits(environment: dict[str, str]) -> set[str]:
    """Return the limits that a server knows which is started in `environment`."""
    listed = subprocess.run(
        [sys.executable, twistd(), "-n", "chatserver", "--limits", "list"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {line.partition("=")[0].replace("_", "-") for line in listed.splitlines()}


def server(home: Path, environment: dict[str, str], lobby: int) -> Subject:
    """Make a server with a port, and a lobby on another. Older ones have fewer limits."""
    port = free_port()
    known = known_limits(environment)
    limits = [f"--limits={name}=1000000" for name in UNLIMITED if name in known]
    command = [sys.executable, twistd(), "-n", "--pidfile=", "chatserver", "--quiet", *limits]
    places = [f"tcp:{one}:interface=127.0.0.1" for one in (port, lobby)]
    where = ["--port", places[0], "--lobby", places[1], "--home", str(home)]
    found = Subject(home.parent.name, [*command, *where], port, REGISTER, REGISTERED, [lobby])
    found.environment.update(environment)
    return found


def twistd() -> str:
    """Return the program that starts both of ours."""
    return str(Path(sys.executable).with_name("twistd"))


def start_of_help(version: Version) -> float:
    """Measure the CPU of a client until it has printed its help, in milliseconds."""
    command = [sys.executable, twistd(), "-n", "chatclient", "--help"]
    environment = {**os.environ, **version.server.environment}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CannotMeasure(f"{version.commit}: --help ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1e3


def memory(version: Version, number: int, count: int) -> tuple[float, float]:
    """Measure a server of its own: MiB at its start, and KiB for each of `count` clients."""
    home = version.place / f"memory{number}"
    one = server(home, version.server.environment, free_port())
    one.start(version.place)
    try:
        time.sleep(1.0)  # its start is over, and its memory is what it keeps
        before = resident(one)
        crowds = Crowds(one.port, count, PACE)
        try:
            crowds.until(lambda here: here == count)
            return before / MIB, (resident(one) - before) / count / 1024
        finally:
            crowds.end()
    finally:
        one.stop()


def measure(place: Path, options: argparse.Namespace) -> Figures:
    """Return a number for each round, by figure and commit. Raises CannotMeasure."""
    loadgen = built_loadgen(place)
    versions = [Version.of(name, place / f"{n}-{name}") for n, name in enumerate(options.commits)]
    figures: Figures = {figure: {one.commit: [] for one in versions} for figure in UNITS}
    big, tiny = place / "big.bin", place / "tiny.bin"
    tiny.write_bytes(b"!")
    with big.open("wb") as file:
        for _ in range(options.size):
            file.write(os.urandom(MIB))
    seconds: float = options.seconds

    def request(version: Version, mode: str) -> float:
        asked = [*MODES[mode], "--keys", str(IDS)]
        return run_loadgen(loadgen, version.server, asked, seconds)["server_us_per_req"]

    def delivery(version: Version, room: Room, load: str, *how: int) -> float:
        run: Callable[[float], None] = partial(getattr(room, load), *how)
        try:
            return measured(version.server, room, run, seconds)
        finally:
            room.close()

    costs: dict[str, Callable[[Version], float]] = {
        "request, own": lambda one: request(one, "own"),
        "request, pipelined": lambda one: request(one, "pipelined"),
        "lobby, one in flight": lambda one: delivery(one, one.lobby(), "keep_saying", 1, 1),
        "room in TLS, one in flight": lambda one: delivery(one, one.room(), "keep_saying", 1, 1),
        "room in TLS, 100 a second": lambda one: delivery(
            one, one.room(), "say_evenly", SENDERS, RATE
        ),
        "start of the client to --help": start_of_help,
    }
    try:
        for version in versions:
            version.start(loadgen)
        for number in range(options.rounds):
            turn = number % len(versions)  # no commit is always first
            turns = versions[turn:] + versions[:turn]
            for figure, cost in costs.items():
                for version in turns:
                    figures[figure][version.commit].append(cost(version))
            for version in turns:
                start, each = memory(version, number, options.clients)
                figures["server at its start"][version.commit].append(start)
                figures["a client in TLS"][version.commit].append(each)
            for version in turns:
                whole, least = version.files.carry(big), version.files.carry(tiny)
                spent = whole.sender + whole.receiver - least.sender - least.receiver
                figures["file, both ends"][version.commit].append(spent * 1024 / options.size)
                rate = options.size * MIB / 1e6 / max(1e-3, whole.seconds - least.seconds)
                figures["file, rate"][version.commit].append(rate)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for version in versions:
            version.stop()
    return figures


def main() -> int:
    """Measure, print the table, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commits", nargs="*", metavar="COMMIT", default=COMMITS)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--rounds", type=int, default=5, help="windows for each")
    parser.add_argument("--clients", type=int, default=1000, help="clients in TLS, for the memory")
    parser.add_argument("--size", type=int, default=512, help="MiB of the file")
    return compare(parser, measure, show)


def show(figures: Figures, options: argparse.Namespace) -> None:
    """Print the table: the median of each, and the last commit's share of the first one's."""
    print(f"commits in turns: medians of {options.rounds} rounds; {machine()}\n")
    rows = []
    for figure, found in figures.items():
        middle = [median(values) for values in found.values()]
        cells = [f"{value:.2f}" for value in middle]
        rows.append([figure, UNITS[figure], *cells, f"{middle[-1] / max(1e-9, middle[0]):.2f}"])
    print(table(["", "", *next(iter(figures.values())), "last / first"], rows))


if __name__ == "__main__":
    sys.exit(main())
