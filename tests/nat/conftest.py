"""A rig for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import NO_NAMESPACES
from tests.e2e.harness import Stage, staged
from tests.nat.rig import NotPermitted, Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig of the test's own, where this machine permits it."""
    try:
        fresh = Rig()
    except NotPermitted as reason:
        pytest.skip(f"{NO_NAMESPACES}: {reason}")
    with fresh:
        yield fresh


@pytest.fixture
def stage(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Programs in the rig, which end before it does.

    The name of their folder is short: that of a Unix socket in it has at most 107 bytes.
    """
    with staged(tmp_path_factory.mktemp("stage")) as fresh:
        yield fresh
