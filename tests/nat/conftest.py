"""A rig for each test, and how many of them there were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from tests.e2e.harness import Stage, staged
from tests.nat.rig import NotPermitted, Rig

NOT_HERE = "no network namespaces here"


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig of the test's own, where this machine permits it."""
    try:
        fresh = Rig()
    except NotPermitted as reason:
        pytest.skip(f"{NOT_HERE}: {reason}")
    with fresh:
        yield fresh


@pytest.fixture
def stage(rig: Rig, tmp_path: Path) -> Iterator[Stage]:
    """Programs in the rig, which end before it does."""
    with staged(tmp_path) as fresh:
        yield fresh


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """How many ran, for whoever reads the log of a run: skipped ones show nothing."""
    counts, reasons = {"passed": 0, "failed": 0, "skipped": 0}, set()
    write = terminalreporter.write_line
    for what in counts:
        for report in terminalreporter.stats.get(what, []):
            if report.nodeid.startswith("tests/nat/"):
                counts[what] += 1
                for name, value in report.user_properties:
                    write(f"{name} of {report.nodeid.rpartition('[')[2].rstrip(']')}: {value}")
                why = report.longrepr[2] if what == "skipped" else ""
                if NOT_HERE in why:
                    reasons.add(why.removeprefix("Skipped: "))
    if any(counts.values()):
        ran = counts["passed"] + counts["failed"]
        why = "".join(f" ({reason})" for reason in sorted(reasons))
        skipped = counts["skipped"]
        write(f"behind routers of network namespaces: {ran} tests ran, {skipped} did not{why}")
