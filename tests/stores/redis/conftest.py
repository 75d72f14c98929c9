"""A real Redis for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_process import Redis


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a real Redis, which has a database in memory only."""
    redis = Redis(tmp_path_factory.mktemp("redis"), "--appendonly", "no")
    yield redis.port
    redis.kill()
