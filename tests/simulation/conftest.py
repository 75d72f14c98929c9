"""Choose the seeds: how many, or which one."""

from __future__ import annotations

import pytest

SEEDS = 100
CHUNK = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=SEEDS, help="how many seeds are simulated")
    parser.addoption("--seed", type=int, default=None, help="simulate this one alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Seeds in chunks: a test each would be a wall of dots."""
    if "seeds" not in metafunc.fixturenames:
        return
    one = metafunc.config.getoption("--seed", default=None)
    # Not registered when all tests run: this file is read too late for that.
    count = metafunc.config.getoption("--seeds", default=SEEDS)
    chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    if one is not None:
        chunks = [range(one, one + 1)]
    metafunc.parametrize("seeds", chunks, ids=[f"{one[0]}-{one[-1]}" for one in chunks])
