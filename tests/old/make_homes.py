"""Make the homes beside this file: what a server and two clients of commit f9d4db7 leave on disk.

Usage: python -m tests.old.make_homes SOURCE FOLDER, where SOURCE holds `git archive f9d4db7`. The files in
this folder were made once; `tests/test_contract.py` opens copies of them with the current program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SERVER = "127.0.0.1:25555"
"""Address under which the two clients pinned the server's key."""


class Old:
    """Run one program of the old source and talk to it."""

    def __init__(self, source: Path, folder: Path, program: str, name: str, *options: str) -> None:
        code = f"from chatproto.taps.main import {program}; {program}()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "--home", str(folder / name), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=dict(os.environ, PYTHONPATH=str(source)),
        )

    def say(self, line: str) -> None:
        """Type one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def until(self, *words: str) -> None:
        """Read until a line has all of `words`."""
        assert self._process.stdout is not None
        fits: Callable[[str], bool] = lambda line: all(word in line for word in words)  # noqa: E731
        assert any(fits(line) for line in self._process.stdout), f"no line with {words}"

    def end(self) -> None:
        """Quit and wait."""
        self.say("/quit")
        self._process.wait(30)


def main(source: Path, folder: Path) -> None:
    """Alice and bob talk, verify and use a room; a message for bob stays in alice's outbox."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Old(source, folder, "chatserver", "server", "--port", "tcp:25555:interface=127.0.0.1")
    server.until("listening on")

    def client(name: str) -> Old:
        port = ("--port", "tcp:0:interface=127.0.0.1", "--server", SERVER)
        made = Old(
            source,
            folder,
            "chatclient",
            name,
            "--id",
            name,
            *port,
            "--ui",
            "json",
            "--answer",
            "all",
        )
        made.until('"registered"')
        return made

    alice, bob = client("alice"), client("bob")
    alice.say("/chat bob")
    alice.until('"session"', '"open"')
    alice.say("hello bob")
    bob.until("hello bob")
    bob.say("hello alice")
    alice.until("hello alice")
    alice.say("/verify bob yes")
    alice.until('"verified": true')
    alice.say("/join tea")
    alice.until('"room"')
    alice.say("tea is ready")
    alice.until('"sent"')
    alice.say("/part")
    bob.say("/quit")
    alice.until('"bye"')
    bob.end()
    alice.say("/msg @bob this waited")
    alice.until("message 2 waits for bob")
    alice.end()
    server.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
