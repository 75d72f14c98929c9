"""Carry a file from one end to the other: the interface of every subject, and shared parts."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.measure import START_WAIT, CannotMeasure

TICK: int = os.sysconf("SC_CLK_TCK")
FILE_WAIT = 600.0
"""Seconds that one file may take."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one file: seconds, and CPU seconds at each end."""

    seconds: float
    sender: float
    receiver: float


class Carrier(Protocol):
    """One way to carry a file."""

    name: str

    def start(self) -> None:
        """Be ready. Raises CannotMeasure."""

    def carry(self, file: Path) -> Cost:
        """Carry it, and see that it came. Raises CannotMeasure."""

    def stop(self) -> None:
        """End what was started."""


def cpu(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def run(command: Sequence[str | Path], **how: Any) -> subprocess.Popen[bytes]:
    """Start it, silent unless told otherwise."""
    quiet: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    return subprocess.Popen(command, **{**quiet, **how})


def ended(process: subprocess.Popen[bytes], what: str) -> float:
    """Wait until it has ended well; its CPU seconds. Raises CannotMeasure."""
    timer = threading.Timer(FILE_WAIT, process.kill)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CannotMeasure(f"{what} failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def stop(process: subprocess.Popen[bytes] | None) -> None:
    """End it, by its process id."""
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(port: int, what: str) -> None:
    """Wait until somebody listens there, without a connection. Raises CannotMeasure."""
    wanted = f":{port:04X} 00000000:0000 0A"
    until(lambda: wanted in Path("/proc/net/tcp").read_text(), f"{what} does not listen")


def until(fact: Callable[[], bool], trouble: str, seconds: float = START_WAIT) -> None:
    """Wait until it holds. Raises CannotMeasure."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise CannotMeasure(trouble)
        time.sleep(0.002)


def came(file: Path, there: Path) -> None:
    """Raises CannotMeasure if `there` has another size; then it goes."""
    if not there.exists() or there.stat().st_size != file.stat().st_size:
        raise CannotMeasure(f"{there} did not come whole")
    there.unlink()
