"""Test hostile connections: each is refused or bounded, and the others are served meanwhile."""

from __future__ import annotations

import contextlib
import random
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.dialects.clients import CLIENTS, CourseClient, ask, forget
from tests.e2e.dialects.wires import Fault, Wire
from tests.e2e.harness import Program, Stage

MIB = 2**20
MANY = 1000
RUBBISH = random.Random(7).randbytes(200_000)


@pytest.fixture(scope="module")
def started(shared_stage: Stage) -> tuple[Program, int]:
    return shared_stage.server("--limits", "line-wait=1", "--limits", "block-wait=3")


@pytest.fixture
def server(started: tuple[Program, int]) -> Iterator[int]:
    """A server's port; the others are served before and after, and in the time of a person."""
    serves_others(started[1])
    yield started[1]
    assert started[0].running
    serves_others(started[1])


def serves_others(port: int) -> None:
    """Two course clients meet."""
    alice = CourseClient(CLIENTS[0], "alice", 3000, port)
    bob = CourseClient(CLIENTS[0], "bob", 3001, port)
    alice.register()
    bob.register()
    assert alice.bridge() == ("bob", "127.0.0.1", "3001")
    forget(port, "alice", "bob")


def ends(wire: Wire) -> bytes:
    """All that comes until the other side ends the connection."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := wire.recv("the end"):
            got += chunk
    return got


def dial_many(port: int, number: int = MANY) -> list[socket.socket]:
    """So many connections at once."""
    return [socket.create_connection(("127.0.0.1", port), 30) for _ in range(number)]


def ended(sockets: list[socket.socket], limit: float, each: Callable[[], None]) -> int:
    """Count the connections that the other side ends within `limit` seconds; call `each` meanwhile."""
    count, deadline = 0, time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, sock)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(0.1):
                ready: socket.socket = key.data
                try:
                    more = ready.recv(4096)
                except OSError:
                    more = b""
                if not more:
                    selector.unregister(ready)
                    count += 1
            each()
    return count


@pytest.mark.parametrize(
    "data",
    [
        RUBBISH,
        b"\x00" * 5000,
        b"A" * 100_000,
        b"REGISTER\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"REGISTER\r\nclientID: " + b"a" * 5000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + RUBBISH[:1000],
        b"\x16" + b"REGISTER\r\n\r\n" * 100,
    ],
    ids=["random", "NULs", "endless line", "many headers", "long value", "TLS", "0x16"],
)
def test_rubbish_is_answered_or_closed(data: bytes, server: int) -> None:
    with Wire.dial(server) as wire:
        with contextlib.suppress(OSError):
            wire.send(data)
            wire.half_close()
        with contextlib.suppress(ConnectionResetError):
            assert len(ends(wire)) < 64 * 1024


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /x HTTP/1.0\r\n", b"CONNECT a:1 HTTP/1.1\r\n"],
)
def test_http_is_closed_at_once(request_: bytes, server: int) -> None:
    with Wire.dial(server) as wire:
        wire.send(request_)
        assert b"HTTP" not in ends(wire)


@pytest.mark.parametrize(
    "request_",
    [
        b"REGISTER\r\nclientID: a\x00b\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
        b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 99999\r\n\r\n",
        b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: x\r\n\r\n",
        b"REGISTER\r\nclientID: alice\r\nIP: \x1b[2J\r\nPort: 3000\r\n\r\n",
        b"REGISTER\r\nclientID: al ice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
        b"REGISTER\r\nclientID: " + b"a" * 65 + b"\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
        b"REGISTER\r\nclientID: alice\r\n\r\n",
        b"BRIDGE\r\n\r\n",
    ],
)
def test_a_malformed_request_gets_a_clear_error(request_: bytes, server: int) -> None:
    assert ask(server, request_).startswith(b"ERROR\r\nStatus: 400 ")
    assert ask(server, b"INFO\r\n\r\n") == b"INFOACK\r\n\r\n"


def test_a_thousand_that_dribble(server: int) -> None:
    """One byte at a time, never a whole line: closed after their time, the others do not notice."""
    sockets = dial_many(server)
    letters = iter(b"REGISTER" * 100)
    last = 0.0

    def dribble() -> None:
        nonlocal last
        if time.monotonic() - last < 0.3:
            return
        last = time.monotonic()
        letter = bytes([next(letters)])
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.send(letter)
        serves_others(server)

    try:
        assert ended(sockets, 40, dribble) == MANY
    finally:
        for sock in sockets:
            sock.close()


def test_a_thousand_that_say_nothing(server: int) -> None:
    """Keep silent connections: some programs connect at start and ask an hour later."""
    sockets = dial_many(server)
    try:
        began = time.monotonic()
        for _ in range(20):
            serves_others(server)
        assert time.monotonic() - began < 40
        assert ended(sockets, 1.5, lambda: None) == 0
        for sock in sockets[::100]:
            sock.setblocking(True)
            wire = Wire(sock)
            wire.send(b"PROBE\r\n\r\n")
            wire.expect(b"PROBEACK\r\n\r\n")
    finally:
        for sock in sockets:
            sock.close()


def test_longest_silent_connection_is_closed_beyond_the_limit(stage: Stage) -> None:
    _, port = stage.server("--limits", "connections=20")
    with Wire.dial(port) as good:
        good.send(b"PROBE\r\n\r\n")
        good.expect(b"PROBEACK\r\n\r\n")
        silent = [Wire.dial(port) for _ in range(40)]
        for wire in silent[:15]:
            wire.expect_end()
        silent[-1].send(b"PROBE\r\n\r\n")
        silent[-1].expect(b"PROBEACK\r\n\r\n")
        good.send(b"PROBE\r\n\r\n")
        good.expect(b"PROBEACK\r\n\r\n")
        for wire in silent:
            wire.close()


def test_client_that_never_reads_is_closed(server: int, started: tuple[Program, int]) -> None:
    """Bound the output for a client that never reads: it is read no further, or dropped."""
    for number in range(50):
        ask(
            server,
            f"REGISTER\r\nclientID: c{number}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n".encode(),
        )
    before = started[0].resident()
    request = b"INFO\r\n\r\n" * 4096
    with Wire.dial(server) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.sock.settimeout(1.0)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 * MIB:
                sent += wire.sock.send(request)
        assert sent < 64 * MIB, "it takes requests for ever"
        assert started[0].resident() - before < 40 * MIB
        forget(server, "c0")
    forget(server, *(f"c{number}" for number in range(1, 50)))


def test_unread_terminal_stops_nothing(stage: Stage) -> None:
    """The pipe fills after a while; the server serves on, and says later what is lost."""
    server, port = stage.server()
    server.output.reading.clear()
    fields = b"clientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n"
    block = (b"REGISTER\r\n" + fields + b"\r\n") * 100
    answer = b"REGACK\r\n" + fields + b"Status: registered\r\n\r\n"
    before = server.resident()
    with Wire.dial(port) as wire:
        for _ in range(400):  # 2.1 MB of lines: past the pipe and past the MiB that may wait
            wire.send(block)
            left = len(answer) * 100
            while left:
                left -= len(wire.recv("answers"))
    assert server.resident() - before < 30 * MIB
    server.output.reading.set()
    server.expect("REGISTER: alice from 127.0.0.1:3000 received")
    lost = int(server.expect(re.compile(r"^\* (\d+) lines"))[1])
    CourseClient(CLIENTS[0], "last", 3001, port).register()
    server.expect("REGISTER: last from 127.0.0.1:3001 received")
    assert sum("alice" in line for line in server.lines) == 40_000 - lost


def test_a_clients_port_bears_rubbish_too(stage: Stage) -> None:
    client = stage.client("alice")
    for data in (RUBBISH, b"\x00" * 5000, b"\x16\x03\x01\x02\x00" + RUBBISH[:500]):
        with Wire.dial(client.port) as wire, contextlib.suppress(OSError):
            wire.send(data)
            wire.half_close()
            ends(wire)
    with Wire.dial(client.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.send_line("/id")
    client.event("answer", command="id")
    with Wire.dial(client.port) as wire:
        wire.send(b"CHAT\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        client.event("incoming", id="zoe")


def test_a_client_bears_hundreds_that_say_nothing(stage: Stage) -> None:
    client = stage.client("alice")
    sockets = dial_many(client.port, 300)
    with Wire.dial(client.port) as wire:
        wire.send(b"CHAT\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        client.event("incoming", id="zoe")
        wire.send(b"hello")
        client.event("message", from_="zoe", text="hello")
    for sock in sockets:
        sock.close()
    assert client.resident() < 150 * MIB


def test_a_peer_that_floods(stage: Stage, pytestconfig: pytest.Config) -> None:
    """Megabytes without a line end: shown in pieces of at most 64 KiB, memory bounded.

    The first 5 MiB are read at once (`talk_burst`), the rest at `talk_rate`: fifty with `--long`.
    """
    mebibytes = 50 if pytestconfig.getoption("--long") else 6
    client = stage.client("alice")
    before = client.resident()
    with Wire.dial(client.port) as wire:
        wire.sock.settimeout(400)
        with contextlib.suppress(OSError):
            for _ in range(mebibytes):
                wire.send(b"x" * MIB)
    client.event("session", timeout=400, state="closed")
    assert client.resident() - before < (6 + mebibytes) * MIB
    assert all(len(text) <= 64 * 1024 for text in client.heard())


def test_a_peer_that_never_reads(stage: Stage) -> None:
    """Queue typed lines for it up to a bound; the program and its other conversations go on."""
    client = stage.client("alice")
    with Wire.dial(client.port) as wire, Wire.dial(client.port) as other:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(b"CHAT\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\nhello")
        client.event("message", from_="zoe", text="hello")
        before = client.resident()
        client.send_line("/mode full")
        for _ in range(200):
            client.send_line("y" * 60_000)
        other.send(b"CHAT\r\nclientID: yan\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\nhi")
        client.event("message", from_="yan", text="hi")
        client.send_line("/msg @yan hello")
        if b"hello" not in other.recv():
            raise Fault("the other conversation stands still")
        assert client.resident() - before < 80 * MIB
