"""A real Redis for a test case, and clients of it; without one the tests are skipped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.url import RedisUrl
from tests.redis_process import Redis


class Ahead:
    """The reactor, with a clock that a test sets ahead `by` seconds."""

    def __init__(self) -> None:
        self.by = 0.0

    def seconds(self) -> float:
        found: float = reactor.seconds() + self.by
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class RedisCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.redis = Redis(folder)
        self.addCleanup(self.redis.kill)
        self.clock = Ahead()
        tokens = count(1)
        self.new_token = lambda: f"token {next(tokens)}"

    async def client(self, url: str = "") -> RedisClient:
        """A client that is connected."""
        client = RedisClient(reactor, RedisUrl(url or self.redis.url))
        client.startService()
        self.addCleanup(client.stopService)
        await self.until(lambda: client._connection is not None)
        return client

    async def until(self, fact: Callable[[], bool]) -> None:
        while not fact():
            await self.wait(0.01)

    async def wait(self, seconds: float) -> None:
        await deferLater(reactor, seconds, lambda: None)

    async def ask(self, client: RedisClient, *command: Any) -> Any:
        return await client.connection.ask(*command)
