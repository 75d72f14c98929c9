"""What the end-to-end tests share. They run under pytest; trial finds no test case in them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.harness import Stage, raise_file_limit, staged


@pytest.fixture(scope="session", autouse=True)
def many_files() -> int:
    """Room for some thousand sockets in this process and those that it starts."""
    return raise_file_limit()


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
