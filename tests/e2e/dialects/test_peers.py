"""Every kind of course program and our client, both ways of calling and both ways of ending."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.e2e.dialects.peers import CoursePeer
from tests.e2e.dialects.rows import ROWS, Person, Row
from tests.e2e.dialects.wires import Port, Running, Wire
from tests.e2e.harness import JsonClient, Stage

ZOE = Person("zoe", "127.0.0.1", 3000)
BY_NAME = [pytest.param(row, id=row.name) for row in ROWS]
BY_QUIT = [
    pytest.param(row, number, id=f"{row.name}-{quit.strip().replace(chr(13) + chr(10), ' ')}")
    for row in ROWS
    for number, quit in enumerate(row.quits)
]


MOST_USES = 10
"""Tests that share one client; some of them call it twice."""


class Clients:
    """One client for many tests; a test that did not reach its end leaves it to be replaced.

    `keeper`: it has a conversation that goes on beside, so that /quit does not end the program.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clients: dict[bool, JsonClient] = {}
        self._keepers: list[Wire] = []
        self._uses: dict[int, int] = {}

    def take(self, keeper: bool = False) -> JsonClient:
        """A client without a conversation, but for that with the keeper."""
        client = self._clients.pop(keeper, None)
        if client is None:
            client = self._stage.client("alice")
            if keeper:
                self._keepers.append(Wire.dial(client.port))
                self._keepers[-1].send(ROWS[0].opening(Person("keeper", port=3009)))
                client.event("session", id="keeper", state="open")
        client.forget()
        return client

    def give_back(self, client: JsonClient, keeper: bool = False) -> None:
        """Keep `client` for another test, below the calls that one address may make (`ring_burst`)."""
        self._uses[client.pid] = self._uses.get(client.pid, 0) + 1
        if self._uses[client.pid] < MOST_USES:
            self._clients[keeper] = client


@pytest.fixture(scope="module")
def clients(shared_stage: Stage) -> Clients:
    return Clients(shared_stage)


@pytest.fixture
def listening() -> Iterator[Port]:
    with Port() as port:
        yield port


def ours(client: JsonClient) -> Person:
    return Person(client.id, client.host, client.port)


def caller(row: Row, client: JsonClient) -> tuple[CoursePeer, str]:
    """A course program that has dialled ours, and what ours must call it."""
    wire = Wire.dial(client.port)
    return CoursePeer(row, ZOE, wire, ours(client), called_us=False), name_of(row, wire)


def name_of(row: Row, wire: Wire) -> str:
    return ZOE.id if row.named else wire.here


def be_called(row: Row, client: JsonClient) -> tuple[CoursePeer, str]:
    """A conversation that a course program began, up to where it is that program's turn."""
    peer, name = caller(row, client)
    peer.open()
    if row.opening(ZOE):
        client.event("incoming", id=name)
    peer.say("hello")
    client.event("message", text="hello", from_=name)
    client.send_line(f"/switch {name}")
    client.send_line("grüße dich")
    client.send_line("and this, out of turn")
    peer.hear("grüße dich")
    peer.stay_quiet()
    peer.say("third")
    peer.hear("and this, out of turn")
    return peer, name


def call(row: Row, client: JsonClient, listening: Port) -> CoursePeer:
    """A conversation that ours began, up to where it is the course program's turn."""
    client.send_line(f"/chat --as {row.dialect} 127.0.0.1:{listening.number}")
    client.send_line("hello")  # at once: it must not share a segment with the opener
    client.send_line("grüße, out of turn")
    peer = CoursePeer(row, ZOE, listening.accept(), ours(client), called_us=True)
    peer.hear_opening()
    peer.hear("hello")
    peer.stay_quiet()
    peer.say("reply")
    client.event("message", text="reply")
    peer.hear("grüße, out of turn")
    return peer


@pytest.mark.parametrize("row", BY_NAME)
def test_the_course_programs_can_talk_among_themselves(row: Row, listening: Port) -> None:
    """The test bed against itself: what it asks of ours, its own halves ask of each other."""
    opened = threading.Event()

    def callee() -> None:
        peer = CoursePeer(row, ZOE, listening.accept(), Person("yan", port=3001), called_us=True)
        peer.hear_opening()
        opened.set()
        peer.hear("grüße")
        peer.stay_quiet()
        peer.say("hi")
        peer.wire.expect(row.quitting(Person("yan", port=3001)))
        peer.wire.expect_end()

    other = Running(callee)
    wire = Wire.dial(listening.number)
    peer = CoursePeer(row, Person("yan", port=3001), wire, ZOE, called_us=False)
    peer.open()
    assert opened.wait(10) or not row.opener
    peer.say("grüße")
    peer.hear("hi")
    peer.quit()
    other.join()


@pytest.mark.parametrize(("row", "number"), BY_QUIT)
def test_one_calls_ours_and_ends_it(row: Row, number: int, clients: Clients) -> None:
    client = clients.take(keeper=True)
    peer, name = be_called(row, client)
    peer.quit(number)
    client.event("bye", id=name)
    client.event("session", id=name, state="closed")
    assert client.heard() == ["hello", "third"]
    clients.give_back(client, keeper=True)


@pytest.mark.parametrize("row", BY_NAME)
def test_one_calls_ours_and_ours_ends_it(row: Row, clients: Clients) -> None:
    client = clients.take(keeper=True)
    peer, name = be_called(row, client)
    client.send_line("/quit")
    peer.hear_quit()
    client.event("session", id=name, state="closed")
    assert client.heard() == ["hello", "third"]
    clients.give_back(client, keeper=True)


@pytest.mark.parametrize("row", BY_NAME)
def test_ours_calls_one_and_it_ends_it(row: Row, clients: Clients, listening: Port) -> None:
    client = clients.take(keeper=True)
    peer = call(row, client, listening)
    peer.quit()
    client.event("session", state="closed")
    assert client.heard() == ["reply"]
    clients.give_back(client, keeper=True)


@pytest.mark.parametrize("row", BY_NAME)
def test_ours_calls_one_and_ends_it(row: Row, clients: Clients, listening: Port) -> None:
    client = clients.take(keeper=True)
    peer = call(row, client, listening)
    client.send_line("/quit")
    peer.hear_quit()
    client.event("session", state="closed")
    assert client.heard() == ["reply"]
    clients.give_back(client, keeper=True)


@pytest.mark.parametrize("row", [p for p in BY_NAME if p.values[0].opener])  # type: ignore[union-attr]
def test_an_opener_may_share_a_segment_with_the_first_line(row: Row, clients: Clients) -> None:
    client = clients.take(keeper=True)
    peer, name = caller(row, client)
    peer.open("hello")
    client.event("incoming", id=name)
    client.event("message", text="hello", from_=name)
    client.send_line(f"/switch {name}")
    client.send_line("hi")
    peer.hear("hi")
    peer.quit()
    client.event("session", id=name, state="closed")
    clients.give_back(client, keeper=True)


@pytest.mark.parametrize("row", [p for p in BY_NAME if not p.values[0].bare])  # type: ignore[union-attr]
def test_frames_may_come_byte_by_byte(row: Row, clients: Clients) -> None:
    client = clients.take(keeper=True)
    peer, name = caller(row, client)
    frames = row.opening(ZOE) + row.saying(ZOE, "grüße") + row.quitting(ZOE)
    peer.wire.send_bytewise(frames)
    client.event("session", id=name, state="closed")
    assert client.heard() == ["grüße"]
    peer.wire.close()
    clients.give_back(client, keeper=True)


@pytest.mark.parametrize("row", [p for p in BY_NAME if p.values[0].name in ("canon", "raw")])  # type: ignore[union-attr]
def test_with_plain_their_quit_in_the_only_conversation_ends_it_too(row: Row, stage: Stage) -> None:
    client = stage.client("alice")
    peer, _ = be_called(row, client)
    peer.quit()
    client.event("exit", code=0)
    assert client.wait() == 0


@pytest.mark.parametrize("row", [p for p in BY_NAME if p.values[0].name in ("canon", "raw")])  # type: ignore[union-attr]
def test_with_plain_quit_in_the_only_conversation_ends_the_program(row: Row, stage: Stage) -> None:
    client = stage.client("alice")
    peer, _ = be_called(row, client)
    client.send_line("/quit")
    peer.hear_quit()
    client.event("exit", code=0)
    assert client.wait() == 0


@pytest.mark.parametrize("row", [p for p in BY_NAME if p.values[0].name in ("idonly", "raw")])  # type: ignore[union-attr]
def test_the_option_dialect_is_the_default_of_chat(row: Row, stage: Stage, listening: Port) -> None:
    client = stage.client("alice", "none", "--dialect", row.dialect)
    client.send_line(f"/chat 127.0.0.1:{listening.number}")
    client.send_line("hello")
    peer = CoursePeer(row, ZOE, listening.accept(), ours(client), called_us=True)
    peer.hear_opening()
    peer.hear("hello")
    peer.quit()
    client.event("session", state="closed")
