"""Test habits of course programs besides framing: silence, calling back, speaking twice."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.e2e.dialects.clients import CLIENTS, CourseClient
from tests.e2e.dialects.peers import CoursePeer
from tests.e2e.dialects.rows import ROWS, WORDS, Person, Row
from tests.e2e.dialects.wires import Port, Wire
from tests.e2e.harness import JsonClient, Stage

ROW = {row.name: row for row in ROWS}
CANON = CLIENTS[0]


@pytest.fixture
def listening() -> Iterator[Port]:
    with Port() as port:
        yield port


def ours(client: JsonClient) -> Person:
    return Person(client.id, client.host, client.port)


def dialback(who: str, text: str) -> bytes:
    return f"CHAT\r\nclientID: {who}\r\ncontent: {text}\r\n\r\n".encode()


def test_a_silent_caller_may_be_greeted(stage: Stage) -> None:
    """Many wait to be spoken to: after 2 s ours shows them by their address."""
    client = stage.client("alice")
    with Wire.dial(client.port) as wire:
        client.event("incoming", id=wire.here)
        client.send_line("hello")
        wire.expect(b"hello")
        wire.send(b"hi")
        client.event("message", from_=wire.here, text="hi")
        wire.send(b"over")
        client.event("session", id=wire.here, state="closed")


def test_a_connection_without_a_byte_does_not_end_the_waiting(stage: Stage) -> None:
    client = stage.client("alice")
    for _ in range(3):
        Wire.dial(client.port).close()
    with Wire.dial(client.port) as wire:
        peer = CoursePeer(ROW["canon"], Person("zoe", port=3000), wire, ours(client), False)
        peer.open("hello")
        client.event("incoming", id="zoe")
        client.event("message", text="hello")
        peer.quit()
        client.event("session", id="zoe", state="closed")
    assert [e["id"] for e in client.events() if e["event"] == "incoming"] == ["zoe"]


def test_program_that_sends_twice_in_a_row_takes_no_turns(stage: Stage) -> None:
    client = stage.client("alice")
    with Wire.dial(client.port) as wire:
        wire.send(b"one\n")
        client.event("message", text="one")
        wire.send(b"two\n")
        client.event("message", text="two")
        for text in ("three", "four", "five"):
            client.send_line(text)
        got = wire.read_until(b"five\n")
        assert got == b"three\nfour\nfive\n"


def test_a_call_as_lobby_takes_no_turns(stage: Stage, listening: Port) -> None:
    client = stage.client("alice")
    client.send_line(f"/chat --as lobby 127.0.0.1:{listening.number}")
    with listening.accept() as wire:
        client.send_line("one")
        assert wire.recv().rstrip() == b"one"
        client.send_line("two")
        assert wire.recv().rstrip() == b"two"
        wire.send(b"bob: hi")
        client.event("message", text=lambda text: "hi" in text)
        wire.close()
        client.event("session", state="closed")


def test_full_mode_needs_no_turns(stage: Stage, listening: Port) -> None:
    client = stage.client("alice")
    client.send_line(f"/chat --as raw 127.0.0.1:{listening.number}")
    with listening.accept() as wire:
        client.send_line("one")
        assert wire.recv().rstrip() == b"one"
        client.send_line("/mode full")
        client.send_line("two")
        assert wire.recv().rstrip() == b"two"


def test_several_conversations_at_once(stage: Stage) -> None:
    client = stage.client("alice")
    zoe = CoursePeer(
        ROW["canon"], Person("zoe", port=3000), Wire.dial(client.port), ours(client), False
    )
    zoe.open("from zoe")
    client.event("message", from_="zoe", text="from zoe")
    yan = CoursePeer(
        ROW["idonly"], Person("yan", port=3001), Wire.dial(client.port), ours(client), False
    )
    yan.open("from yan")
    client.event("message", from_="yan", text="from yan")
    client.send_line("/msg @yan to yan")
    yan.hear("to yan")
    client.send_line("/msg @zoe to zoe")
    zoe.hear("to zoe")
    zoe.say("again zoe")
    yan.say("again yan")
    client.event("message", from_="zoe", text="again zoe")
    client.event("message", from_="yan", text="again yan")
    client.send_line("/switch zoe")
    client.send_line("switched")
    zoe.hear("switched")
    client.send_line("/quit")
    zoe.hear_quit()
    client.event("session", id="zoe", state="closed")
    yan.stay_quiet()
    yan.quit()
    client.event("session", id="yan", state="closed")
    assert client.running


def introduced(stage: Stage, listening: Port) -> tuple[JsonClient, CourseClient]:
    """Ours and a course program zoe, both registered; ours has been told where zoe is."""
    _, server = stage.server()
    zoe = CourseClient(CANON, "zoe", listening.number, server)
    zoe.register()
    client = stage.client("alice", server)
    client.send_line("/register")
    client.event("registered")
    client.send_line("/bridge")
    client.event("bridged", id="zoe", host="127.0.0.1", port=listening.number)
    return client, zoe


def test_ours_calls_one_that_dials_back_for_every_message(stage: Stage, listening: Port) -> None:
    client, _ = introduced(stage, listening)
    client.send_line("/chat --as dialback")
    client.send_line("hello")
    with listening.accept() as wire:
        wire.expect(dialback("alice", "hello"))
        wire.expect_end()
    with Wire.dial(client.port) as wire:
        wire.send(dialback("zoe", "hi"))
    client.event("message", from_="zoe", text="hi")
    client.send_line("again")
    with listening.accept() as wire:
        wire.expect(dialback("alice", "again"))
    with Wire.dial(client.port) as wire:
        wire.send(b"QUIT\r\n\r\n")
    client.event("session", id="zoe", state="closed")
    assert client.heard() == ["hi"]


def test_one_that_dials_back_calls_ours_and_ours_ends_it(stage: Stage, listening: Port) -> None:
    client, _ = introduced(stage, listening)
    with Wire.dial(client.port) as wire:
        wire.send(dialback("zoe", "hello"))
    client.event("incoming", id="zoe")
    client.event("message", from_="zoe", text="hello")
    client.send_line("hi")
    with listening.accept() as wire:
        wire.expect(dialback("alice", "hi"))
        wire.expect_end()
    with Wire.dial(client.port) as wire:
        wire.send(dialback("zoe", "more"))
    client.event("message", from_="zoe", text="more")
    client.send_line("/quit")
    with listening.accept() as wire:
        wire.expect(b"QUIT\r\n\r\n")
        wire.expect_end()
    client.event("exit", code=0)
    assert client.wait() == 0


def test_ours_waits_and_is_called_by_one_that_dials_back(stage: Stage, listening: Port) -> None:
    """Ours was told of nobody: to answer it has to ask the server where zoe is."""
    _, server = stage.server()
    client = stage.client("alice", server)
    client.send_line("/register")
    client.event("registered")
    client.send_line("/bridge")
    client.event("bridged", id=None)
    zoe = CourseClient(CANON, "zoe", listening.number, server)
    zoe.register()
    assert zoe.bridge() == ("alice", "127.0.0.1", str(client.port))
    with Wire.dial(client.port) as wire:
        wire.send(dialback("zoe", "hello"))
    client.event("message", from_="zoe", text="hello")
    client.send_line("hi")
    with listening.accept() as wire:
        wire.expect(dialback("alice", "hi"))


def test_one_that_never_answers_on_what_it_accepted_is_called_back(
    stage: Stage, listening: Port
) -> None:
    """Seed 001: each side speaks on the connection that it dialled; to our user it is one talk."""
    client, _ = introduced(stage, listening)
    with Wire.dial(client.port) as theirs:
        theirs.send(b"hello")
        client.event("message", text="hello")
        client.send_line("/chat --as raw zoe")
        client.send_line("hi")
        with listening.accept() as back:
            assert back.recv().rstrip() == b"hi"
            theirs.send(b"more")
            client.event("message", from_="zoe", text="more")
            client.send_line("bye then")
            assert back.recv().rstrip() == b"bye then"
            theirs.expect_silence(0.2)
            client.send_line("/quit")
            client.event("session", id="zoe", state="closed")
            assert back.recv().rstrip().decode() in WORDS
        assert client.wait() == 0
    assert client.heard() == ["hello", "more"]


def test_one_that_never_answers_on_what_it_accepted_calls_back(
    stage: Stage, listening: Port
) -> None:
    client, _ = introduced(stage, listening)
    client.send_line("/chat --as raw")
    client.send_line("hello")
    with listening.accept() as ours_to_them:
        assert ours_to_them.recv().rstrip() == b"hello"
        with Wire.dial(client.port) as theirs:
            theirs.send(b"hi")
            client.event("message", from_="zoe", text="hi")
            client.send_line("again")
            assert ours_to_them.recv().rstrip() == b"again"
            theirs.expect_silence(0.2)
    client.event("session", id="zoe", state="closed")
    assert {e["id"] for e in client.events() if e["event"] == "session"} <= {"zoe", "them"}


def fixed_port() -> Port:
    """The one address of seed 002's program; the test is skipped where it cannot be had."""
    try:
        return Port("127.0.0.4", 2800)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            raise
        pytest.skip("127.0.0.4:2800 is not to be had here")


def test_the_program_of_seed_002_is_called_where_it_listens(stage: Stage) -> None:
    client = stage.client("alice")
    with fixed_port() as port:
        client.send_line("/chat --as prefixed 127.0.0.4:2800")
        client.send_line("hello")
        row: Row = ROW["prefixed"]
        peer = CoursePeer(row, Person("zoe"), port.accept(), ours(client), True)
        peer.hear("hello")
        peer.say("hi")
        client.event("message", text="hi")
        client.send_line("/quit")
        peer.hear_quit()
    assert client.wait() == 0


def test_the_program_of_seed_002_calls_where_it_always_calls(stage: Stage) -> None:
    fixed_port().close()
    client = stage.client("alice", "none", "--port", "tcp:2800:interface=127.0.0.4")
    assert (client.host, client.port) == ("127.0.0.4", 2800)
    with Wire.dial(2800, "127.0.0.4") as wire:
        peer = CoursePeer(ROW["prefixed"], Person("zoe"), wire, ours(client), False)
        peer.say("hello")
        client.event("incoming", id="zoe")
        client.event("message", from_="zoe", text="hello")
        client.send_line("hi")
        peer.hear("hi")
        peer.quit()
        client.event("session", id="zoe", state="closed")


def test_two_of_ours_need_no_server(stage: Stage) -> None:
    alice, bob = stage.client("alice"), stage.client("bob")
    bob.send_line(f"/chat {alice.host}:{alice.port}")
    bob.send_line("hello")
    alice.event("incoming", id="bob", host="127.0.0.1", port=bob.port)
    alice.event("message", from_="bob", text="hello")
    alice.send_line("hi")
    bob.event("message", text="hi")
    bob.send_line("/quit")
    bob.event("exit", code=0)
    alice.event("session", id="bob", state="closed")
    assert bob.wait() == 0
    alice.event("exit", code=0)  # it was the only conversation there too
    assert alice.wait() == 0
