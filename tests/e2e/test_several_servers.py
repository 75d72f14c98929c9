"""Several servers of one directory, as clients and whoever looks after them see it: real programs."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time

from tests.e2e.harness import LIMIT, Program, Stage
from tests.long import LONG

GRACE = 5.0  # seconds in which a server that is told to end has ended


def same_key(stage: Stage, count: int) -> tuple[list[Program], list[str]]:
    """Servers with one key, and what their clients are told; each keeps what it has for itself."""
    servers, addresses = [], []
    key: bytes | None = None
    for number in range(count):
        home = stage.folder / f"server{number}"
        home.mkdir(mode=0o700)
        if key is not None:
            (home / "key.pem").write_bytes(key)
            (home / "key.pem").chmod(0o600)
        server, port = stage.server("--store", "memory:", home=home)
        key = (home / "key.pem").read_bytes()
        servers.append(server)
        addresses.append(f"127.0.0.1:{port}")
    return servers, addresses


def kill(server: Program) -> None:
    """As a crash would end it."""
    server.signal(signal.SIGKILL)
    server.wait()


def test_client_changes_to_its_other_server_after_a_kill(stage: Stage) -> None:
    servers, addresses = same_key(stage, 2)
    alice = stage.open_client("alice", addresses[0], "--server", addresses[1])
    alice.event("registered", server=addresses[0])
    kill(servers[0])
    alice.event("registered", server=addresses[1])
    bob = stage.open_client("bob", addresses[1])
    bob.event("registered")
    alice.send_line("/bridge bob")
    alice.event("bridged", id="bob")


@LONG
def test_closing_sends_clients_to_the_other_server_and_back(stage: Stage) -> None:
    servers, addresses = same_key(stage, 2)
    alice = stage.open_client("alice", addresses[0], "--server", addresses[1])
    alice.event("registered", server=addresses[0])
    servers[0].signal(signal.SIGTERM)
    assert servers[0].wait() == -signal.SIGTERM  # as twistd ends by a signal
    alice.event("registered", server=addresses[1])
    port = addresses[0].rpartition(":")[2]
    where = f"tcp:{port}:interface=127.0.0.1"
    home = stage.folder / "server0"
    again = stage.start("chatserver", "--port", where, "--store", "memory:", home=home)
    again.expect(re.compile("^Server listening"))
    servers[1].signal(signal.SIGTERM)
    assert servers[1].wait() == -signal.SIGTERM  # as twistd ends by a signal
    alice.event("registered", server=addresses[0])


def test_server_with_another_key_is_left_out_with_a_notice(stage: Stage) -> None:
    servers, addresses = same_key(stage, 1)
    _, port = stage.server("--store", "memory:")
    stranger = f"127.0.0.1:{port}"
    alice = stage.open_client("alice", addresses[0], "--server", stranger)
    alice.event("registered", server=addresses[0])
    kill(servers[0])
    told = alice.event("error", command="register")
    assert stranger in told["text"] and "another directory" in told["text"]


@LONG
def test_classic_client_uses_the_other_server(stage: Stage) -> None:
    servers, addresses = same_key(stage, 2)
    alice = stage.open_client("alice", addresses[0], "--plain", "--server", addresses[1])
    kill(servers[0])
    alice.send_line("/register")
    alice.event("registered", server=addresses[1])


def test_stopping_server_ends_soon_despite_open_connections(stage: Stage) -> None:
    """End in time in spite of silent connections, unread output, a relay request, and a client."""
    server, port = stage.server()
    alice = stage.open_client("alice", f"127.0.0.1:{port}")
    alice.event("registered")
    lingering = [socket.create_connection(("127.0.0.1", port), LIMIT) for _ in range(3)]
    lingering[0].settimeout(1.0)
    handled = -1
    while handled != len(server.lines):  # until it reads no further, since nobody reads its answers
        handled = len(server.lines)
        with contextlib.suppress(TimeoutError):
            while True:
                lingering[0].send(b"BRIDGE\r\nclientID: x\r\n\r\n" * 1000)
    lingering[1].sendall(b"REGISTER\r\nclientID: half")
    begun = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == -signal.SIGTERM  # as twistd ends by a signal
    took = time.monotonic() - begun
    for one in lingering:
        one.close()
    assert 1.0 < took < GRACE, f"it took {took:.1f} s"
