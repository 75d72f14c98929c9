"""A Redis of a test's own: a process on a free port, with a folder of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from unittest import SkipTest

from tests.ports import free_port

LIMIT = 30.0

NAMES = ("redis-server", "valkey-server")
FOUND = next((path for path in map(shutil.which, NAMES) if path), None)
SAFE = (
    *("--appendonly", "yes", "--appendfsync", "always"),
    *("--save", "", "--maxmemory-policy", "noeviction"),
)
"""What docs/operations.md says loses nothing."""


def needed() -> str:
    """The program. Raises SkipTest if there is none."""
    if FOUND is None:
        raise SkipTest("neither redis-server nor valkey-server is installed")
    return FOUND


class Redis:
    """Redis server that can be stopped and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
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
                [needed(), *where, *SAFE, *self._options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + LIMIT
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.01)

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
            return self.ask("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
