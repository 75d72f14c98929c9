"""What the benchmarks share: programs under measurement, the load generator, medians and a table."""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
START_WAIT = 30.0


class CannotMeasure(Exception):
    """Something that the measurement needs is missing; its text says what."""


def free_port() -> int:
    """A port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    """A server under measurement: how it is started, and where it then listens."""

    name: str
    command: Sequence[str]
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, cwd: Path) -> None:
        """Start it and wait until it takes connections. Raises CannotMeasure."""
        with (cwd / f"{self.name}.err").open("wb") as errors:
            self.process = subprocess.Popen(
                self.command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        deadline = time.monotonic() + START_WAIT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
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


def run_loadgen(program: Path, subject: Subject, arguments: Sequence[str]) -> dict[str, Any]:
    """The load generator's report on `subject` and all its processes."""
    assert subject.process is not None
    command = [str(program), *arguments, "--tree", "-P", str(subject.process.pid)]
    done = subprocess.run(
        [*command, f"127.0.0.1:{subject.port}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotMeasure(f"loadgen and {subject.name}: {done.stderr.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def machine() -> str:
    """What was measured on, in a line."""
    import twisted

    cores = len(Path("/proc/cpuinfo").read_text().split("processor\t")) - 1
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{cores} cores, Python {python}, Twisted {twisted.__version__}"


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


def workplace() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes when the measurement is over."""
    return tempfile.TemporaryDirectory(prefix="chatproto-bench-")
