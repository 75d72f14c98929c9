"""People whose homes scripts use: one-shot commands, and what speaks through control.sock."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.harness import LIMIT, JsonClient, Program, Stage

CHATCLIENT = [str(Path(sys.executable).with_name("chatclient"))]
if not Path(CHATCLIENT[0]).exists():
    CHATCLIENT = [sys.executable, "-c", "from chatproto.cli.main import chatclient; chatclient()"]
LOOPBACK = "tcp:0:interface=127.0.0.1"


class Person:
    """Person with a home, in which a client runs or not."""

    def __init__(self, stage: Stage, name: str, port: int, home: Path | None = None) -> None:
        self.stage = stage
        self.name = name
        self.home = home or stage.place(f"{name}-home")
        self.downloads = stage.place(f"{name}-downloads")
        self.port = port

    @property
    def options(self) -> list[str]:
        where = ["--home", str(self.home), "--downloads", str(self.downloads)]
        return ["--id", self.name, "--server", f"127.0.0.1:{self.port}", "--port", LOOPBACK, *where]

    def client(self, *options: str) -> JsonClient:
        """The running client, which is registered."""
        arguments = [*self.options, "--ui", "json", *options]
        client: JsonClient = self.stage.start(
            "chatclient", *arguments, kind=JsonClient, home=self.home
        )
        client.start()
        client.event("registered")
        return client

    def begin(self, command: str, *words: str, terminal: bool = False) -> Program:
        """A one-shot command that runs; `event` of what it is told needs --json."""
        line = [*CHATCLIENT, command, *self.options, *words]
        program = JsonClient(line, self.stage.place("cwd"), [self.home], terminal)
        self.stage.programs.append(program)
        return program

    def do(self, command: str, *words: str, text: bytes | None = None) -> tuple[int, str]:
        """A one-shot command from its start to its end: its code, and its one line, if any."""
        program = self.begin(command, *words)
        if text is not None:
            program.send(text)
        program.end_input()
        code = program.wait()
        assert len(program.errors.lines) <= 1, program.transcript()
        return code, "".join(program.errors.lines)

    @contextlib.contextmanager
    def control(self) -> Iterator[Script]:
        """A connection to the client that runs."""
        with socket.socket(socket.AF_UNIX) as made:
            made.settimeout(LIMIT)
            made.connect(str(self.home / "control.sock"))
            yield Script(made)


class Script:
    """A connection to control.sock."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self._lines = made.makefile("r", encoding="utf-8")

    def say(self, line: str) -> None:
        self.socket.sendall(line.encode() + b"\n")

    def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The next event like this one; others are passed over."""
        wanted = {key.rstrip("_"): value for key, value in fields.items()} | {"event": name}
        for line in self._lines:
            told: dict[str, Any] = json.loads(line)
            if wanted.items() <= told.items():
                return told
        raise AssertionError(f"{name} {fields} did not come")


def meet(alice: Person, bob: JsonClient) -> None:
    """Let two persons talk once, so that they know each other's keys."""
    call = alice.begin("send", "bob", "hello")
    bob.event("incoming", id="alice")
    bob.send_line("/accept alice")
    assert call.wait() == 0, call.transcript()
    bob.event("message", text="hello")
    bob.event("bye", id="alice")
