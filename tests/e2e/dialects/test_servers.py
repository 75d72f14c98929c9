"""Every kind of course server and our client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.dialects.servers import SERVERS, CourseServer, Habits
from tests.e2e.dialects.wires import Port
from tests.e2e.harness import JsonClient, Stage

BY_NAME = [pytest.param(habits, id=habits.name) for habits in SERVERS]


@pytest.fixture
def course_server() -> Iterator[CourseServer]:
    server = CourseServer(SERVERS[0])
    server.start()
    yield server
    server.close()


class Asking:
    """One client and one course server that changes its habits, for many tests."""

    def __init__(self, stage: Stage) -> None:
        self.server = CourseServer(SERVERS[0])
        self.server.start()
        self.client: JsonClient = stage.client("alice", self.server.port.number)


class Askings:
    """The pair in use; a test that did not reach its end leaves it to be replaced."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._whole: Asking | None = None

    def take(self, habits: Habits) -> Asking:
        asking, self._whole = self._whole or Asking(self._stage), None
        asking.server.habits = habits
        asking.client.forget()
        return asking

    def give_back(self, asking: Asking) -> None:
        self._whole = asking

    def close(self) -> None:
        if self._whole:
            self._whole.server.close()


@pytest.fixture(scope="module")
def askings(shared_stage: Stage) -> Iterator[Askings]:
    askings = Askings(shared_stage)
    yield askings
    askings.close()


@pytest.mark.parametrize("habits", BY_NAME)
def test_register_and_bridge(habits: Habits, askings: Askings) -> None:
    asking = askings.take(habits)
    client, server = asking.client, asking.server
    client.send_line("/register")
    if habits.registers:
        client.event("registered")
    else:
        client.event("error", command=lambda name: "register" in name)
        assert not [e for e in client.events() if e["event"] == "registered"]
    server.check()
    client.send_line("/bridge")
    if habits.bridged is None:
        client.event("error", command=lambda name: "bridge" in name)
        assert not [e for e in client.events() if e["event"] == "bridged"]
    else:
        bridged = client.event("bridged")
        assert (bridged["id"], bridged["host"], bridged["port"]) == habits.bridged
    server.check()
    assert server.asked == ["REGISTER", "BRIDGE"]
    server.asked.clear()
    askings.give_back(asking)


def test_only_what_the_person_asked_for_is_sent(stage: Stage, course_server: CourseServer) -> None:
    """From start to end: several servers exit when they are sent anything else."""
    with Port() as bob:
        course_server.habits = Habits(
            "bob listens",
            bridgeack=f"BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: {bob.number}\r\n\r\n",
        )
        client = stage.client("alice", course_server.port.number)
        client.send_line("/id")
        client.event("answer", command="id")
        assert course_server.asked == []
        for line in ("/register", "/bridge", "/chat", "hello"):
            client.send_line(line)  # typed ahead: each waits for the answer to the one before
        with bob.accept() as wire:
            wire.expect(
                f"CHAT\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: {client.port}\r\n\r\n".encode()
            )
            wire.expect(b"hello\r\n")
            client.send_line("/quit")
            wire.expect(b"QUIT\r\n\r\n")
            wire.expect_end()
        assert client.wait() == 0
    course_server.check()
    assert course_server.asked == ["REGISTER", "BRIDGE"]


def test_plain_warns_of_an_id_that_course_programs_do_not_match(
    stage: Stage, course_server: CourseServer
) -> None:
    client = stage.client("al.ice", course_server.port.number)
    client.wait_for(
        lambda: any("al.ice" in line for line in [*client.errors.lines, *client.lines[1:]]),
        "a line that warns of the id",
    )
