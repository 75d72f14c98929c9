"""Test mistakes of users: each gets one helpful line and the promised exit code."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.dialects.wires import Port, Running
from tests.e2e.harness import LIMIT, TWISTD, Program, Stage, free_port
from tests.long import some

TAKEN = "TAKEN"
"""Stands in the tables for the number of a port that somebody else listens on."""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def run(tmp_path: Path, *arguments: str) -> tuple[int, list[str]]:
    """A program that should not start: its exit code and all its lines, on either stream."""
    done = subprocess.run(
        [*TWISTD, "-n", *arguments],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * LIMIT,
        text=True,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"Traceback" not in path.read_bytes(), path.read_text()
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if line]


@pytest.mark.parametrize(
    ("arguments", "named"),
    some(
        4,
        [
            (("chatserver", "--port", "abc"), "abc"),
            (("chatserver", "--port", "99999"), "99999"),
            (("chatserver", "--limits", "nonsense=1"), "nonsense"),
            (("chatserver", "--limits", "line=many"), "many"),
            (("chatserver", "--bogus"), "bogus"),
            (("chatclient", "--bogus"), "bogus"),
            (("chatclient", "--port"), "port"),
            (("chatclient", "--port", "abc", "--server", "none"), "abc"),
            (("chatclient", "--port", "99999", "--server", "none"), "99999"),
            (("chatclient", "--id", "a b", "--server", "none"), "a b"),
            (("chatclient", "--id", "-", "--server", "none"), "id"),
            (("chatclient", "--id", "x" * 65, "--server", "none"), "64"),
            (("chatclient", "--server", "nowhere"), "nowhere"),
            (("chatclient", "--server", "127.0.0.1:port"), "port"),
            (("chatclient", "--dialect", "martian", "--server", "none"), "martian"),
            (("chatclient", "--ui", "fancy", "--server", "none"), "fancy"),
            (("chatclient", "--answer", "perhaps", "--server", "none"), "perhaps"),
        ],
    ),
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_wrong_option_is_named_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    code, lines = run(tmp_path, *arguments)
    assert (code, len(lines)) == (1, 1), lines
    assert named in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("chatserver", "--port", f"tcp:{TAKEN}:interface=127.0.0.1"),
        ("chatserver", "--port", TAKEN),
        ("chatserver", "--lobby", f"tcp:{TAKEN}:interface=127.0.0.1", "--port", "tcp:0"),
        ("chatclient", "--server", "none", "--port", f"tcp:{TAKEN}:interface=127.0.0.1"),
        ("chatclient", "--server", "none", "--port", TAKEN),
    ],
    ids=lambda arguments: " ".join(arguments)[:50],
)
def test_a_port_that_is_taken(tmp_path: Path, taken: int, arguments: tuple[str, ...]) -> None:
    put_in = [argument.replace(TAKEN, str(taken)) for argument in arguments]
    code, lines = run(tmp_path, *put_in, "--home", str(tmp_path / "home"))
    lines = [line for line in lines if "listening on" not in line]
    assert (code, len(lines)) == (2, 1), lines
    assert str(taken) in lines[0]


@pytest.mark.parametrize("plugin", ["chatserver", "chatclient"])
def test_a_home_that_cannot_be_written(tmp_path: Path, plugin: str) -> None:
    (tmp_path / "file").write_text("in the way")
    home = tmp_path / "file" / "home"  # below a regular file: not even root can make it
    options = ["--server", "none"] if plugin == "chatclient" else ["--port", "tcp:0"]
    code, lines = run(tmp_path, plugin, *options, "--home", str(home))
    assert (code, len(lines)) == (2, 1), lines
    assert str(home) in lines[0]


def test_a_home_that_is_in_use(stage: Stage) -> None:
    first = stage.client("alice")
    home = first.command[first.command.index("--home") + 1]
    place = stage.place("second")
    arguments = ("chatclient", "--id", "alice", "--server", "none", "--home", home)
    code, lines = run(place, *arguments)
    assert (code, len(lines)) == (2, 1), lines
    assert home in lines[0] or "alice" in lines[0]
    first.send_line("/quit")
    assert first.wait() == 0
    third = stage.start("chatclient", *arguments[1:-2], "--ui", "plain", home=Path(home))
    third.expect(re.compile("^alice running on"))  # the lock does not outlive its holder


def plain_client(stage: Stage, server: str) -> Program:
    client: Program = stage.start(
        "chatclient", "--id", "alice", "--server", server, "--plain", "--ui", "plain"
    )
    client.expect(re.compile("^alice running on"))
    return client


def one_line(client: Program, line: str, pattern: str, limit: float = LIMIT) -> str:
    """Type a line; the one line that it is answered with matches, and the client goes on."""
    before = len(client.lines)
    client.send_line(line)
    client.expect(re.compile(pattern), limit)
    client.send_line("/id")
    client.expect("alice")
    said = [text for text in client.lines[before:] if text != "alice"]
    return said[-1]


def test_missing_server_is_one_line(stage: Stage) -> None:
    port = free_port()
    client = plain_client(stage, f"127.0.0.1:{port}")
    one_line(client, "/register", rf"^\* .*127\.0\.0\.1:{port}")
    client.send_line("/quit")
    assert client.wait() == 0
    assert len([line for line in client.lines if f":{port}" in line]) <= 2, client.lines


def test_a_server_that_is_no_chat_server(stage: Stage) -> None:
    with Port() as port:

        def answer() -> None:
            with port.accept() as wire:
                wire.recv()
                wire.send(b"HTTP/1.0 400 Bad Request\r\n\r\n<html></html>\r\n")

        web = Running(answer)
        client = plain_client(stage, f"127.0.0.1:{port.number}")
        one_line(client, "/register", r"^\* ")
        web.join()
        assert not [line for line in client.lines if "registered" in line.split("not")[0]]


def test_a_server_that_answers_with_rubbish_without_end(stage: Stage) -> None:
    with Port() as port:

        def answer() -> None:
            with port.accept() as wire:
                wire.recv()
                wire.sock.setblocking(True)
                try:
                    for _ in range(2000):
                        wire.send(b"\x00\xff\n" * 10_000)
                except OSError:
                    return
                raise AssertionError("the client took 60 MB of it")

        flood = Running(answer)
        client = plain_client(stage, f"127.0.0.1:{port.number}")
        one_line(client, "/register", r"^\* ")
        flood.join()
        assert client.resident() < 150 * 2**20


def test_missing_peer_is_one_line(stage: Stage) -> None:
    port = free_port()
    client = plain_client(stage, "none")
    client.send_line(f"/chat 127.0.0.1:{port}")
    client.expect(re.compile(rf"^\* calling .*127\.0\.0\.1:{port}"))
    client.expect(re.compile(r"^\* "))
    client.send_line("/quit")
    assert client.wait() == 0


def test_a_peer_that_accepts_and_stays_silent(stage: Stage) -> None:
    client = plain_client(stage, "none")
    with Port() as port:
        client.send_line(f"/chat 127.0.0.1:{port.number}")
        with port.accept() as wire:
            client.send_line("hello")
            client.send_line("are you there?")
            wire.read_until(b"hello\r\n")
            wire.expect_silence(0.2)
            before = time.monotonic()
            client.send_line("/quit")
            assert b"QUIT" in wire.recv()
            assert client.wait() == 0
            assert time.monotonic() - before < 15
    said = [line for line in client.lines if "are you there?" in line or "not sent" in line]
    assert said, client.lines  # what was never sent is not lost without a word


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("/regster", r"^\* .*/register"),
        ("/nonsense", r"^\* .*nonsense"),
        ("/chat", r"^\* "),
        ("/chat nobody", r"^\* .*nobody"),
        ("/chat 127.0.0.1:notaport", r"^\* "),
        ("/chat --as martian 127.0.0.1:9", r"^\* .*martian"),
        ("/msg", r"^\* "),
        ("/msg @nobody hello", r"^\* .*nobody"),
        ("nobody hears this", r"^\* "),
        ("/accept", r"^\* "),
        ("/switch nobody", r"^\* .*nobody"),
        ("/register", r"^\* .*server"),
        ("/bridge", r"^\* .*server"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_one_line(
    line: str, pattern: str, alone: Program
) -> None:
    before = len(alone.lines)
    one_line(alone, line, pattern)
    said = [text for text in alone.lines[before:] if text != "alice"]
    assert len(said) == 1, said


@pytest.fixture(scope="module")
def alone(shared_stage: Stage) -> Program:
    """A client without a server and without a conversation."""
    return plain_client(shared_stage, "none")
