"""Share fixtures of the end-to-end tests. They run under pytest; trial finds no test case in them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Stage, raise_file_limit, staged
from tests.e2e.movers import MakeWay, Way

LOG_SHOWN = 4000  # characters at the end of a log, when a test has failed


@pytest.fixture(scope="session", autouse=True)
def many_files() -> int:
    """Room for some thousand sockets in this process and those that it starts."""
    return raise_file_limit()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what every program on its stage said last, not only the one that was waited for."""
    report = yield
    stage = getattr(item, "funcargs", {}).get("stage")
    if report.when == "call" and report.failed and isinstance(stage, Stage):
        for number, program in enumerate(stage.programs):
            report.sections.append((f"program {number}", program.transcript()))
            report.sections += [
                (f"log of program {number}", log) for log in program.logs(LOG_SHOWN)
            ]
    return report


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage of a test's own."""
    with staged(tmp_path_factory.mktemp("stage")) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage that the tests of a module share."""
    with staged(tmp_path_factory.mktemp("shared")) as fresh:
        yield fresh


@pytest.fixture
def make_way(stage: Stage) -> Iterator[MakeWay]:
    """Makes ways, and closes their proxies."""
    made: list[Way] = []

    def make(
        alice: tuple[str, ...] = (), bob: tuple[str, ...] = (), downloads: Path | None = None
    ) -> Way:
        made.append(Way(stage, alice, bob, downloads))
        return made[-1]

    yield make
    for way in made:
        way.proxy.close()
