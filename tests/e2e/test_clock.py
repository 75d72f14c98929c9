"""The system's clock is set while programs run: nothing waits longer, and nothing dies, because of it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.faketime import SetClock
from tests.e2e.harness import JsonClient, Stage
from tests.e2e.program import LIMIT
from tests.ports import free_port


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[SetClock]:
    yield SetClock(tmp_path)


def client(stage: Stage, clock: SetClock, name: str, server: int) -> JsonClient:
    home = stage.folder / f"{name}-home"
    home.mkdir(exist_ok=True)
    options = ("--id", name, "--port", "tcp:0:interface=127.0.0.1", "--answer", "all")
    where = ("--server", f"127.0.0.1:{server}", "--ui", "json")
    found: JsonClient = stage.start(
        "chatclient", *options, *where, kind=JsonClient, home=home, before=clock.before
    )
    found.start()
    found.event("registered")
    return found


def server(stage: Stage, clock: SetClock, port: int) -> None:
    home = stage.folder / "server-home"
    home.mkdir(exist_ok=True)
    listens = ("--port", f"tcp:{port}:interface=127.0.0.1", "--limit", "line-wait=1")
    program = stage.start("chatserver", *listens, home=home, before=clock.before)
    program.expect(f"Server listening on 127.0.0.1:{port}")


def test_a_clock_set_back_ten_minutes_holds_nothing_up(stage: Stage, clock: SetClock) -> None:
    port = free_port()
    server(stage, clock, port)
    alice, bob = (client(stage, clock, name, port) for name in ("alice", "bob"))
    alice.send_line("/chat bob")
    alice.event("session", state="open")
    alice.send_line("before")
    bob.event("message", text="before")
    clock.set_by(-600)
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as unfinished:
        unfinished.sendall(b"REGISTER\r\nclientID: carol\r\n")
        assert b"408" in unfinished.recv(1000)
    # Both lose the server, and alice loses bob: each is found again.
    for gone in (stage.programs[0], bob):
        gone.signal(signal.SIGKILL)
        gone.wait()
    alice.event("session", state="broken")
    alice.send_line("meanwhile")
    server(stage, clock, port)
    alice.event("registered")
    again = client(stage, clock, "bob", port)
    again.event("message", text="meanwhile")
    alice.event("delivered")
