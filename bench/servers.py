"""Servers of ours that are measured, their CPU and memory, and their clients in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.measure import HERE, CannotMeasure, Subject, raise_file_limit
from bench.requests import REGISTER, REGISTERED
from tests.ports import free_port

EACH_CROWD = 8000
"""Clients in one process of the crowd; more make it the slowest part."""
PATIENCE = 300.0
"""Seconds within which all clients are there, or back."""
AT_ONCE = 4
"""Servers that start at once; more would wait for the cores longer than a start may take."""


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
    where += ["--limits=new-ids-per-address=1000000"]  # all come from this machine
    command_line = [twistd, "-n", "--pidfile=", "chatserver", "--quiet", *where, *more]
    return Subject(name, command_line, port, REGISTER, REGISTERED, others)


@contextmanager
def running(place: Path, *subjects: Subject) -> Iterator[None]:
    """With these started, a few at a time, and then ended. Raises CannotMeasure."""
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            starts = [threads.submit(one.start, place) for one in subjects]
        for start in starts:
            start.result()
        yield
    finally:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            threads.map(Subject.stop, subjects)


def resident(one: Subject) -> int:
    """Bytes of memory that its process holds."""
    pages = Path(f"/proc/{one.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def need_files(count: int) -> None:
    """Raise the soft limit, which our children inherit. Raises CannotMeasure if it is too small."""
    have = raise_file_limit(count)
    if have < count:
        raise CannotMeasure(
            f"{count} open files are needed, and the hard limit is {have} (ulimit -Hn)"
        )


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
