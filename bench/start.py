"""Measure what a start costs, ours beside a bare Twisted: `python bench/start.py`.

CPU until the help of the client is printed, beside `twistd --version`; and resident memory of a server
and of a client a second after their start, beside that of `twistd` with TLS loaded. Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import HERE, CannotMeasure, Subject, compare, machine, median, table
from bench.servers import resident
from tests.ports import free_port

GOALS = {"help": 1.5, "memory": 1.3}
"""Of what bare Twisted needs."""
SETTLED = 1.0
"""Seconds after which a program that has started is at rest."""
MIB = 1024 * 1024
Figures = dict[str, dict[str, list[float]]]


def twistd() -> str:
    """Return the program that starts both of ours."""
    return str(Path(sys.executable).with_name("twistd"))


def help_cost(*words: str) -> float:
    """Measure the CPU of `twistd` with `words` until it ends, in milliseconds. Raises CannotMeasure."""
    process = subprocess.Popen([sys.executable, twistd(), *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CannotMeasure(f"twistd {' '.join(words)} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1e3


def memory(place: Path, name: str) -> float:
    """Start the program `name` and measure its resident memory in MiB. Raises CannotMeasure."""
    port = free_port()
    command = [sys.executable, twistd(), "-n", "--pidfile="]
    where = [f"--port=tcp:{port}:interface=127.0.0.1", f"--home={place / name}"]
    words: dict[str, Sequence[str]] = {
        "server": ["chatserver", *where],
        "client": ["chatclient", "--id=alice", "--server=none", "--ui=json", *where],
        "bare": [f"--python={HERE / 'peers' / 'bare_twistd.py'}"],
    }
    one = Subject(name, [*command, *words[name]], port, "", "", reads=name == "client")
    one.environment["PORT"] = str(port)
    one.start(place)
    try:
        time.sleep(SETTLED)
        return resident(one) / MIB
    finally:
        one.stop()


def measure(place: Path, options: argparse.Namespace) -> Figures:
    """Return a number for each round."""
    costs = {
        "chatclient --help": ("-n", "chatclient", "--help"),
        "twistd --version": ("--version",),
    }
    figures: Figures = {"help": {}, "memory": {}}
    for number in range(options.rounds):
        for name, words in costs.items():
            figures["help"].setdefault(name, []).append(help_cost(*words))
        for name in ("server", "client", "bare"):
            folder = place / str(number)
            folder.mkdir(exist_ok=True)
            figures["memory"].setdefault(name, []).append(memory(folder, name))
    return figures


def main() -> int:
    """Measure, print the tables, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="starts of each")
    return compare(parser, measure, show)


def show(figures: Figures, options: argparse.Namespace) -> None:
    """Print a table for each part."""
    print(f"median of {options.rounds} starts; {machine()}\n")
    for part, unit in (("help", "ms of CPU"), ("memory", "MiB")):
        *_, bare = figures[part].values()
        rows = [
            [name, f"{median(values):.0f}", f"{median(values) / median(bare):.2f}"]
            for name, values in figures[part].items()
        ]
        print(table(["", unit, "of bare"], [*rows, ["goal", "", f"{GOALS[part]:.2f}"]]))
        print()


if __name__ == "__main__":
    sys.exit(main())
