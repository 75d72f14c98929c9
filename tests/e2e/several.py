"""Servers that share a Redis."""

from __future__ import annotations

import shutil
import signal

from tests.e2e.harness import Program, Stage, free_port
from tests.redis_process import Redis


class Several:
    """Servers with one key over one Redis, each on a port of its own that it keeps."""

    def __init__(self, stage: Stage, redis: Redis, count: int, *options: str) -> None:
        self.stage = stage
        self.redis = redis
        self.options = options
        self.servers: list[Program] = []
        self.homes = [stage.place("several") for _ in range(count)]
        self.ports = [free_port() for _ in range(count)]
        for number in range(count):
            if number:
                shutil.copy(self.homes[0] / "key.pem", self.homes[number])
            self.servers.append(self.run(number))

    def run(self, number: int) -> Program:
        """Start that server, until it serves."""
        where = f"tcp:{self.ports[number]}:interface=127.0.0.1"
        server: Program = self.stage.start(
            *("chatserver", "--port", where, "--store", self.redis.url, *self.options),
            home=self.homes[number],
        )
        server.expect(f"Server listening on 127.0.0.1:{self.ports[number]}")
        return server

    def kill(self, number: int) -> None:
        """SIGKILL."""
        server = self.servers[number]
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL

    def again(self, number: int) -> None:
        """Start it again."""
        self.servers[number] = self.run(number)
