"""Configure all tests: options, profiles, the summary."""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings
from twisted.trial.unittest import SynchronousTestCase

NO_NAMESPACES = "no network namespaces here"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="5,000 examples for each property, as `nox -s long`"
    )


def pytest_configure(config: pytest.Config) -> None:
    # No test reads the options of whoever runs it.
    os.environ["XDG_CONFIG_HOME"] = str(Path(__file__).parent / "nowhere")
    config.addinivalue_line("markers", "long: runs with --long only")
    if config.getoption("--long"):
        settings.load_profile("long")
    # A shell has what it starts in the background ignore Ctrl-C, and the programs under test
    # would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def folders_of_trial(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the `mktemp` of trial's test cases make names in pytest's folder, not in the checkout."""
    base, numbers = tmp_path_factory.mktemp("trial"), count()

    def mktemp(self: SynchronousTestCase) -> str:
        return str(base / str(next(numbers)))

    SynchronousTestCase.mktemp = mktemp  # type: ignore[method-assign]  # trial's own is relative


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests that are marked `long`, unless the run is a long one."""
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long") is not None:
                item.add_marker(pytest.mark.skip(reason="only with --long"))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print how many tests behind routers ran, because skipped ones are easily overlooked."""
    counts, reasons = {"passed": 0, "failed": 0, "skipped": 0}, set()
    write = terminalreporter.write_line
    for what in counts:
        for report in terminalreporter.stats.get(what, []):
            if report.nodeid.startswith("tests/nat/"):
                counts[what] += 1
                for name, value in report.user_properties:
                    write(f"{name} of {report.nodeid.rpartition('[')[2].rstrip(']')}: {value}")
                why = report.longrepr[2] if what == "skipped" else ""
                if NO_NAMESPACES in why:
                    reasons.add(why.removeprefix("Skipped: "))
    if any(counts.values()):
        ran = counts["passed"] + counts["failed"]
        why = "".join(f" ({reason})" for reason in sorted(reasons))
        skipped = counts["skipped"]
        write(f"behind routers of network namespaces: {ran} tests ran, {skipped} did not{why}")
