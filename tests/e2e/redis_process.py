"""A Redis of a test's own, and servers that share it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, Program, Stage, free_port

NAMES = ("redis-server", "valkey-server")
FOUND = next((path for path in map(shutil.which, NAMES) if path), None)
SAFE = (
    *("--appendonly", "yes", "--appendfsync", "always"),
    *("--save", "", "--maxmemory-policy", "noeviction"),
)
"""What docs/operations.md says loses nothing."""


def needed() -> str:
    """The program; who has none skips the test."""
    if FOUND is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    return FOUND


class Redis:
    """On a free port of loopback, with a folder of its own; can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Until it answers."""
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder))
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [needed(), *where, *SAFE], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()

    def ask(self, *words: str) -> bytes:
        """The answer to a command, as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65536)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(LIMIT)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False


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
