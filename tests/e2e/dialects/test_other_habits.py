"""Stand-ins for programs with habits of their own: padded buffers, one connection a message, hang-ups.

Two machines are two network namespaces; that test is skipped where they cannot be made.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.e2e.dialects.wires import LIMIT, Port, Running, Wire
from tests.e2e.harness import Stage

NUL = b"\0"


def padded(text: str, before: str = "", size: int = 1024) -> bytes:
    """Return the buffer that a program in C sends: `text` and a NUL over the old content."""
    said = text.encode() + NUL
    return (said + before.encode()[len(said) :]).ljust(size, NUL)


def test_a_whole_buffer_is_its_text_at_client_and_server(stage: Stage) -> None:
    _, server = stage.server()
    with Wire.dial(server) as wire:
        register = "REGISTER\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
        wire.send(padded(register))
        assert wire.read_until(b"\r\n\r\n").startswith(b"REGACK\r\nclientID: zoe\r\n")
        wire.send(padded("BRIDGE\r\nclientID: zoe\r\n\r\n", register))
        wire.expect(b"BRIDGEACK\r\nclientID: \r\nIP: \r\nPort: \r\n\r\n")
        wire.expect_silence(0.5)
    client = stage.client("alice")
    with Wire.dial(client.port) as wire:
        wire.send(padded("hello there\n"))
        client.event("message", text="hello there")
        wire.send(padded("yes\n", "hello there\n"))
        client.event("message", text="yes")
        wire.send(padded("quit", "yes\n\0o there\n"))
        client.event("session", state="closed")
    assert client.heard() == ["hello there", "yes"]


def test_program_that_rebinds_its_port_gets_every_message(stage: Stage) -> None:
    """Close after reading: only if our end is closed first can that program bind its port again."""
    client = stage.client("alice")
    with Port() as probe:
        number = probe.number
    got: list[bytes] = []

    def listen() -> None:
        for _ in range(6):
            with socket.socket() as port:  # without SO_REUSEADDR
                deadline = time.monotonic() + LIMIT
                port.bind(("127.0.0.1", number))
                port.listen(1)
                listening.append(1)
                port.settimeout(max(0.1, deadline - time.monotonic()))
                connection, _ = port.accept()
                with connection:
                    got.append(connection.recv(1024))
            with Wire.dial(client.port) as answer:
                answer.send(b"CHAT\r\nclientID: zoe\r\ncontent: ok\r\n\r\n")

    listening: list[int] = []
    program = Running(listen)
    client.send_line(f"/chat --as dialback 127.0.0.1:{number}")
    client.send_line("/mode full")
    for turn in range(6):
        deadline = time.monotonic() + LIMIT
        while len(listening) <= turn and not program.failed:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if program.failed:
            break
        client.send_line(f"message {turn}")
    program.join()
    texts = [one.partition(b"content: ")[2].strip() for one in got]
    assert texts == [f"message {turn}".encode() for turn in range(6)]


def test_program_that_closes_on_our_opener_is_reported(stage: Stage) -> None:
    client = stage.client("alice")
    with Port() as port:
        client.send_line(f"/chat 127.0.0.1:{port.number}")
        with port.accept() as wire:
            assert wire.recv().startswith(b"CHAT\r\nclientID: alice\r\n")
        notice = client.event("notice", text=lambda text: "speaks another dialect" in text)
        assert "/chat --as chatreq|idonly|" in notice["text"]
        client.send_line(f"/chat --as idonly 127.0.0.1:{port.number}")
        with port.accept() as wire:
            wire.expect(b"CHAT\r\nclientID: alice\r\n\r\n")
            client.send_line("hello")
            wire.expect(b"CHAT\r\nclientID: alice\r\nhello\n\r\n\r\n")
            wire.send(b"CHAT\r\nclientID: zoe\r\nhi\n\r\n\r\n")
            client.event("message", text="hi")
        client.event("session", state="closed")
        client.send_line(f"/chat 127.0.0.1:{port.number}")  # what worked is remembered
        with port.accept() as wire:
            wire.expect(b"CHAT\r\nclientID: alice\r\n\r\n")


def test_one_that_answers_on_a_connection_of_its_own_gets_every_line(stage: Stage) -> None:
    """Seed 001 called with the default dialect."""
    client = stage.client("alice")
    with Port() as port:
        client.send_line(f"/chat 127.0.0.1:{port.number}")
        for text in ("one", "two", "three"):
            client.send_line(text)
        with port.accept() as ours:
            assert ours.read_until(b"one\r\n").startswith(b"CHAT\r\n")
            with Wire.dial(client.port) as theirs:
                theirs.send(b"hi")
                ours.read_until(b"two\r\n")
                theirs.send(b"and more")
                ours.read_until(b"three\r\n")
                theirs.expect_silence(0.2)
    names = {one["from"] for one in client.events() if one["event"] == "message"}
    assert names == {f"127.0.0.1:{port.number}"}


def test_a_classic_server_is_left_with_fin_and_not_tried_again(stage: Stage) -> None:
    """The course's reference server reads TLS's beginning, waits for more, and exits on RST."""
    with Port() as port:
        client = stage.open_client("alice", f"127.0.0.1:{port.number}")
        with port.accept() as wire:
            while wire.recv():  # a reset would raise
                pass
        client.event("error", text=lambda text: "--plain speaks to a classic server" in text)
        port.expect_nobody(3)


def test_a_dialect_that_is_named_is_spoken_without_plain(stage: Stage) -> None:
    with Port() as port:
        client = stage.open_client("alice", "none", "--dialect", "lobby")
        client.send_line(f"/chat 127.0.0.1:{port.number}")
        client.send_line("hello")
        with port.accept() as wire:
            assert wire.recv().rstrip() == b"hello"


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)


@pytest.fixture
def other_machine() -> Iterator[tuple[str, str, str]]:
    """A namespace and its wire to here: its name, our address on the wire, its own."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip")
    name, here = f"chat{os.getpid()}", f"ch{os.getpid()}"
    net = f"10.{os.getpid() % 200 + 20}.77"
    try:
        run("ip", "netns", "add", name)
    except subprocess.CalledProcessError:
        pytest.skip("network namespaces cannot be made here")
    try:
        run("ip", "link", "add", here, "type", "veth", "peer", "name", "out", "netns", name)
        run("ip", "addr", "add", f"{net}.1/24", "dev", here)
        run("ip", "link", "set", here, "up")
        run("ip", "-n", name, "addr", "add", f"{net}.2/24", "dev", "out")
        run("ip", "-n", name, "link", "set", "out", "up")
        yield name, f"{net}.1", f"{net}.2"
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("ip", "link", "del", here)
        run("ip", "netns", "del", name)


REGISTERS = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
wire = socket.create_connection((host, port), 15)
wire.settimeout(15)
# Seed 000 and others: the address of --server as their own.
wire.sendall(f"REGISTER\\r\\nclientID: zoe\\r\\nIP: {host}\\r\\nPort: 3000\\r\\n\\r\\n".encode())
print(wire.recv(1024).decode())
"""


def test_the_servers_address_claimed_on_another_machine_is_the_observed_one(
    stage: Stage, other_machine: tuple[str, str, str]
) -> None:
    name, here, there = other_machine
    server = stage.start("chatserver", "--port", f"tcp:0:interface={here}")
    port = server.expect(re.compile(rf"^Server listening on {re.escape(here)}:(\d+)$"))[1]
    program = ("ip", "netns", "exec", name, sys.executable, "-c", REGISTERS, here, port)
    answer = subprocess.run(program, check=True, capture_output=True, timeout=30, text=True)
    assert f"IP: {here}\n" in answer.stdout.replace("\r", "")  # repeated as it was claimed
    with Wire.dial(int(port), here) as wire:
        wire.send(b"BRIDGE\r\nclientID: alice\r\n\r\n")
        wire.expect(f"BRIDGEACK\r\nclientID: zoe\r\nIP: {there}\r\nPort: 3000\r\n\r\n".encode())
