"""Every kind of course client and our server."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.dialects.clients import CLIENTS, EMPTY, CourseClient, Habits, ask, forget
from tests.e2e.dialects.servers import SERVERS, CourseServer
from tests.e2e.dialects.wires import Fault, Port, Wire
from tests.e2e.harness import Program, Stage

BY_NAME = [pytest.param(habits, id=habits.name) for habits in CLIENTS]
NOBODY = ("", "", "")


@dataclass
class Served:
    """Our server with an empty directory."""

    program: Program
    port: int


@pytest.fixture(scope="module")
def started(shared_stage: Stage) -> Served:
    return Served(*shared_stage.server())


@pytest.fixture
def server(started: Served) -> Iterator[Served]:
    yield started
    listed = ask(started.port, b"INFO\r\nRequesting clients\r\n\r\n").decode()
    forget(started.port, *re.findall(r"^(\S+) \S+:\d+\r$", listed, re.MULTILINE))
    assert ask(started.port, b"INFO\r\nRequesting clients\r\n\r\n") == b"INFOACK\r\n\r\n"


def registered(server: Served, name: str) -> None:
    """Wait until the server has said on its terminal that it knows `name`."""
    server.program.expect(re.compile(rf"^REGISTER: {name} from 127\.0\.0\.1:\d+ received$"))


def test_the_canonical_client_and_the_canonical_course_server() -> None:
    """The test bed against itself: what it asks of ours, its own halves ask of each other."""
    server = CourseServer(SERVERS[0])
    server.start()
    with Port() as port:
        client = CourseClient(CLIENTS[0], "alice", port.number, server.port.number)
        client.register()
        assert client.bridge() == ("bob", "127.0.0.1", "3001")
    server.close()
    assert server.asked == ["REGISTER", "BRIDGE"]


def test_course_server_rejects_unrequested_input() -> None:
    server = CourseServer(SERVERS[0])
    server.start()
    with Wire.dial(server.port.number) as wire:
        wire.send(b"INFO\r\n\r\n")
        wire.expect_end()
        with pytest.raises(Fault, match="would have stopped at"):
            server.close()


@pytest.mark.parametrize("habits", BY_NAME)
def test_course_client_registers_waits_and_is_found(habits: Habits, server: Served) -> None:
    alice = CourseClient(habits, "alice", 3000, server.port)
    bob = CourseClient(CLIENTS[0], "bob", 3001, server.port)
    alice.register()
    registered(server, "alice")
    assert alice.bridge() == NOBODY
    server.program.expect("BRIDGE: alice 127.0.0.1:3000")
    bob.register()
    registered(server, "bob")
    assert bob.bridge() == ("alice", "127.0.0.1", "3000")
    server.program.expect("BRIDGE: bob 127.0.0.1:3001 alice 127.0.0.1:3000")
    assert alice.bridge() == ("bob", "127.0.0.1", "3001")  # who waited asks again
    alice.close()


@pytest.mark.parametrize("habits", BY_NAME)
def test_course_client_finds_a_waiting_client(habits: Habits, server: Served) -> None:
    bob = CourseClient(CLIENTS[0], "bob", 3001, server.port)
    bob.register()
    assert bob.bridge() == NOBODY
    alice = CourseClient(habits, "alice", 3000, server.port)
    alice.register()
    registered(server, "alice")
    assert alice.bridge() == ("bob", "127.0.0.1", "3001")
    alice.close()


def test_a_connection_may_be_used_again_much_later(server: Served) -> None:
    with Wire.dial(server.port) as early:
        bob = CourseClient(CLIENTS[0], "bob", 3001, server.port)
        bob.register()
        early.expect_silence(1.0)
        early.send(b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        assert early.recv().startswith(b"REGACK\r\n")
        early.expect_silence(1.0)
        early.send(b"BRIDGE\r\nclientID: alice\r\n\r\n")
        early.expect(b"BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n")


def test_an_unfinished_register_is_whole_after_a_moment(server: Served) -> None:
    with Wire.dial(server.port) as wire:
        wire.send(b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n")
        wire.expect(
            b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n"
            b"Status: registered\r\n\r\n"
        )
        wire.send(b"\r\n")  # the blank line that comes later is nothing
        wire.expect_silence(0.3)
        wire.send(b"BRIDGE\r\nclientID: alice\r\n\r\n")
        wire.expect(EMPTY)


def test_the_same_id_again_replaces_the_entry(server: Served) -> None:
    for port in (3000, 3010):
        CourseClient(CLIENTS[0], "alice", port, server.port).register()
    listed = ask(server.port, b"INFO\r\nRequesting clients\r\n\r\n")
    assert listed == b"INFOACK\r\nalice 127.0.0.1:3010\r\n\r\n"


@pytest.mark.parametrize("request_", [b"INFO\r\nRequesting clients\r\n\r\n", b"INFO\r\n\r\n"])
def test_info_lists_registered_clients(request_: bytes, server: Served) -> None:
    assert ask(server.port, request_) == b"INFOACK\r\n\r\n"
    for name, port in (("alice", 3000), ("bob", 3001)):
        CourseClient(CLIENTS[0], name, port, server.port).register()
    lines = ask(server.port, request_).split(b"\r\n")
    assert lines[0] == b"INFOACK"
    assert sorted(lines[1:-2]) == [b"alice 127.0.0.1:3000", b"bob 127.0.0.1:3001"]
    assert lines[-2:] == [b"", b""]


def test_unregistered_client_may_ask(server: Served) -> None:
    CourseClient(CLIENTS[0], "bob", 3001, server.port).register()
    stranger = CourseClient(CLIENTS[0], "nobody", 1, server.port)
    assert stranger.bridge() == ("bob", "127.0.0.1", "3001")


@pytest.mark.parametrize("method", ["UNREGISTER", "QUIT"])
def test_client_that_quits_is_forgotten(method: str, server: Served) -> None:
    CourseClient(CLIENTS[0], "alice", 3000, server.port).register()
    answer = {"UNREGISTER": b"UNREGACK\r\n\r\n", "QUIT": b"QUITACK\r\n\r\n"}[method]
    assert ask(server.port, f"{method}\r\nclientID: alice\r\n\r\n".encode()) == answer
    assert ask(server.port, b"INFO\r\n\r\n") == b"INFOACK\r\n\r\n"


def test_unregistered_client_cannot_quit(server: Served) -> None:
    answer = ask(server.port, b"UNREGISTER\r\nclientID: stranger\r\n\r\n")
    assert answer.startswith(b"ERROR\r\nStatus: 404 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"CHAT\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n",
        b"LOG\r\nclientID: bob\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ],
)
def test_unknown_method_gets_405_and_the_connection_goes_on(
    request_: bytes, server: Served
) -> None:
    with Wire.dial(server.port) as wire:
        wire.send(request_)
        assert re.fullmatch(rb"ERROR\r\nStatus: 405 [^\r\n]+\r\n\r\n", wire.recv())
        wire.send(b"PROBE\r\n\r\n")
        wire.expect(b"PROBEACK\r\n\r\n")


def test_requests_in_one_segment_are_answered_in_order(server: Served) -> None:
    with Wire.dial(server.port) as wire:
        wire.send(
            b"\r\n\r\nREGISTER\r\nPort: 3000\r\nIP: 127.0.0.1\r\nclientID: alice\r\n\r\n\r\n"
            b"BRIDGE\r\nclientID: alice\r\n\r\nPROBE\r\n\r\n"
        )
        assert wire.read_until(b"PROBEACK\r\n\r\n") == (
            b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n"
            b"Status: registered\r\n\r\n" + EMPTY + b"PROBEACK\r\n\r\n"
        )


def test_fifty_half_closing_clients_are_all_answered(server: Served) -> None:
    wires = [Wire.dial(server.port) for _ in range(50)]
    for wire in wires:
        wire.send(b"BRIDGE\r\nclientID: asker\r\n\r\n")
        wire.half_close()
    for wire in wires:
        wire.expect(EMPTY)
        wire.expect_end()
        wire.close()


def test_answer_is_not_delayed(server: Served) -> None:
    """A whole request is answered at once, not after the 0.4 s that an unfinished one is given."""
    times = []
    for _ in range(20):
        before = time.monotonic()
        assert ask(server.port, b"PROBE\r\n\r\n") == b"PROBEACK\r\n\r\n"
        times.append(time.monotonic() - before)
    assert sorted(times)[10] < 0.2, times
