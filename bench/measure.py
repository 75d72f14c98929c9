"""Share parts of the benchmarks: measured programs, load generator, medians, tables."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).parent
START_WAIT = 30.0
WARM_UP = 0.5
ANSWER_WAIT = 10.0
"""Seconds that a server under load has for an answer, whatever else the machine does."""
LOAD_WAIT = 20.0
"""How many seconds more than its window a run of the load generator may take."""


Figures = TypeVar("Figures")


class CannotMeasure(Exception):
    """Something that the measurement needs is missing; its text says what."""


def raise_file_limit(wanted: int) -> int:
    """Let this process and its children open `wanted` files, or as many as may be; the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return wanted if soft == resource.RLIM_INFINITY else soft


def built_loadgen(place: Path) -> Path:
    """The load generator, built into `place`. Raises CannotMeasure."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CannotMeasure("a C compiler is needed for bench/loadgen.c")
    program = place / "loadgen"
    subprocess.run([compiler, "-O2", "-o", program, HERE / "loadgen.c"], check=True)
    return program


@dataclass
class Subject:
    """A server under measurement: how it is started, where it then listens, what it is asked.

    `request` is a template of the load generator; `answer` is how every good answer ends, and no
    other does, so that a refusal cannot pass for a fast answer. `others`: ports that it opens too.
    `environment`: variables that it is started with beside ours. `reads`: it ends with its input, which
    therefore stays open.
    """

    name: str
    command: Sequence[str]
    port: int
    request: str
    answer: str
    others: Sequence[int] = ()
    environment: dict[str, str] = field(default_factory=dict)
    reads: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Return the id of its process, which runs."""
        assert self.process is not None
        return self.process.pid

    def start(self, cwd: Path) -> None:
        """Start it and wait until it takes connections on all its ports. Raises CannotMeasure."""
        with (cwd / f"{self.name}.err").open("wb") as errors:
            self.process = subprocess.Popen(
                self.command,
                cwd=cwd,
                env={**os.environ, **self.environment},
                stdin=subprocess.PIPE if self.reads else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        deadline = time.monotonic() + START_WAIT
        waited_for = [self.port, *self.others]
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", waited_for[0]), timeout=1).close()
            except OSError:
                time.sleep(0.05)
                continue
            waited_for.pop(0)
            if not waited_for:
                return
        said = (cwd / f"{self.name}.err").read_text(errors="replace")
        raise CannotMeasure(f"{self.name} does not start: {said.strip()[-500:]}")

    def stop(self) -> None:
        """End it, by its process id."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def run_loadgen(
    program: Path, subject: Subject, arguments: Sequence[str], seconds: float
) -> dict[str, float]:
    """Measure one window of load: its cost to `subject`, all its processes together.

    Raises: CannotMeasure: a request failed, so that the numbers mean nothing.
    """
    assert subject.process is not None
    asked = ["--req", subject.request, "--until", subject.answer, "--timeout", str(ANSWER_WAIT)]
    command = [str(program), *arguments, *asked, "--tree", "-P", str(subject.process.pid)]
    window = ["-t", str(seconds), "-w", str(WARM_UP), "-r", "1"]
    try:
        done = subprocess.run(
            [*command, *window, f"127.0.0.1:{subject.port}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + WARM_UP + LOAD_WAIT,
        )
    except subprocess.TimeoutExpired:  # with nobody listening it would try for ever
        raise CannotMeasure(f"{subject.name} no longer takes connections") from None
    if done.returncode != 0:
        raise CannotMeasure(f"loadgen and {subject.name}: {done.stderr.strip()}")
    summary = {name: values[1] for name, values in json.loads(done.stdout)["summary"].items()}
    failed = {name: summary[name] for name in ("errors", "closed", "stuck") if summary[name]}
    if failed:
        raise CannotMeasure(f"{subject.name} did not answer all: {failed}")
    return summary


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has had."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def machine() -> str:
    """Describe the machine in one line."""
    import twisted

    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, Python {python}, Twisted {twisted.__version__}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`rows` under `head`, in columns."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def compare(
    parser: argparse.ArgumentParser,
    measure: Callable[[Path, argparse.Namespace], Figures],
    show: Callable[[Figures, argparse.Namespace], None],
) -> int:
    """Measure in a folder of its own, show the figures, and write them to the file of `--json`.

    Args: parser: has the other options; both functions get what was chosen.

    Returns: the status of the program, 1 if something is missing that the measurement needs.
    """
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    with workplace() as folder:
        try:
            figures = measure(Path(folder), options)
        except CannotMeasure as error:
            print(error, file=sys.stderr)
            return 1
    show(figures, options)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1))
    return 0


def workplace() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes when the measurement is over."""
    return tempfile.TemporaryDirectory(prefix="chatproto-bench-")
