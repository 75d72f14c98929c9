"""Strangers flood a server at once; two friends find each other, and every bound holds."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import JsonClient, Stage, other_port
from tests.e2e.rude import HALF
from tests.e2e.test_encryption import talk

MOST = 60
NAMES = 200
"""Connections, and ids of classic clients, that the server may have."""
MOST_TRIES = 150
"""Seconds: the strangers call from the friends' own address, so some tries of a friend find no room,
and the wait between two tries grows to a minute."""
REGISTER = "REGISTER\r\nclientID: s{}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
INFO = b"INFO\r\n\r\n" * 200
IDLE = b"PROBE\r\n\r\n"


class Strangers:
    """Threads that send the same again and again, each on a connection of its own or on many."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self._number = 0
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (
                lambda: self._ask(lambda: INFO),
                lambda: self._ask(self._names),
                lambda: self._hold(HALF),
                lambda: self._hold(IDLE),
            )
        ]

    def begin(self) -> None:
        for one in self._threads:
            one.start()

    def end(self) -> None:
        self._ended.set()
        for one in self._threads:
            one.join(10)

    def _names(self) -> bytes:
        self._number += 20
        begin = self._number
        return "".join(REGISTER.format(n) for n in range(begin, begin + 20)).encode()

    def _ask(self, more: Callable[[], bytes]) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError), self._connection() as one:
                while not self._ended.is_set():
                    one.sendall(more())
                    if not one.recv(2**16):
                        break

    def _hold(self, first: bytes) -> None:
        held: list[socket.socket] = []
        while not self._ended.wait(0.01):
            with contextlib.suppress(OSError):
                held.append(self._connection())
                held[-1].sendall(first)
            if len(held) > 2 * MOST:
                held.pop(0).close()
        for one in held:
            one.close()

    def _connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), 5)


@pytest.fixture
def crowded(stage: Stage) -> Iterator[tuple[int, int]]:
    """The port of a small server that strangers flood, and that of its metrics."""
    limits = (f"connections={MOST}", f"registrations={NAMES}")
    words = [word for one in limits for word in ("--limits", one)]
    server, port = stage.server("--metrics", "tcp:0:interface=127.0.0.1", *words)
    metrics = other_port(server, "metrics")
    strangers = Strangers(port)
    strangers.begin()
    yield port, metrics
    strangers.end()


def value(text: str, name: str) -> float:
    """The value of a metric without labels."""
    lines = [line for line in text.splitlines() if line.startswith(f"chatserver_{name} ")]
    return float(lines[0].split()[1])


def friend(stage: Stage, name: str, port: int) -> JsonClient:
    """A registered client."""
    client = stage.open_client(name, f"127.0.0.1:{port}")
    client.event("registered", timeout=MOST_TRIES)
    return client


def test_clients_find_each_other_while_abuse_is_limited(
    stage: Stage, crowded: tuple[int, int]
) -> None:
    port, metrics = crowded
    alice, bob = (friend(stage, name, port) for name in ("alice", "bob"))
    talk(alice, bob)
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=60) as answer:
        told = answer.read().decode()
    assert value(told, "connections") <= MOST
    assert value(told, "registered_classic") <= NAMES


def test_client_waits_for_a_full_server(stage: Stage) -> None:
    _, port = stage.server("--limits", "connections=1")
    with socket.create_connection(("127.0.0.1", port), 30) as only:
        only.sendall(REGISTER.format(1).encode())
        assert only.recv(1024).startswith(b"REGACK")
        client = stage.open_client("alice", f"127.0.0.1:{port}")
        client.event("notice", text=lambda text: "accepts no connection at the moment" in text)
    client.event("registered")
