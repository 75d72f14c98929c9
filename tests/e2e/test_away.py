"""People who go away and come back: what is said of it is true."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import JsonClient, Stage, staged
from tests.long import LONG


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


class Two:
    """Alice and bob, who have accepted each other; bob comes and goes."""

    def __init__(self, stage: Stage) -> None:
        _, self._port = stage.server()
        self._stage = stage
        self._home = stage.place("bob-home")
        self.alice = self._person("alice", stage.place("alice-home"))
        self.come()
        self.talk()
        self.leave()

    def _person(self, name: str, home: Path) -> JsonClient:
        where = ("--port", "tcp:0:interface=127.0.0.1", "--server", f"127.0.0.1:{self._port}")
        arguments = ("--id", name, *where, "--ui", "json")
        client: JsonClient = self._stage.start("chatclient", *arguments, kind=JsonClient, home=home)
        client.start()
        client.event("registered")
        return client

    def come(self) -> None:
        self.bob = self._person("bob", self._home)

    def talk(self) -> None:
        """Alice calls and bob takes it."""
        self.alice.send_line("/chat bob")
        self.bob.event("incoming", id="alice")
        self.bob.send_line("/accept")
        self.alice.event("session", id="bob", state="open")
        self.bob.event("session", id="alice", state="open")

    def leave(self) -> None:
        """Bob ends the conversation, and his program."""
        self.bob.send_line("/quit")
        self.alice.event("bye", id="bob")
        self.bob.end_input()
        assert self.bob.wait() == 0
        self.alice.forget()


@pytest.fixture
def two(stage: Stage) -> Two:
    return Two(stage)


def kinds(client: JsonClient) -> list[str]:
    return [str(event["event"]) for event in client.events()]


@LONG
def test_peer_that_just_left_is_reported_when_back(two: Two) -> None:
    two.alice.send_line("/chat bob")
    assert "bob is away" in two.alice.event("error", command="chat")["text"]
    two.alice.send_line("/info")
    two.alice.event("contacts")
    assert "presence" not in kinds(two.alice)
    two.come()
    two.alice.event("presence", id="bob", status="online")


def test_queued_message_is_reported_with_its_text_when_delivered(two: Two) -> None:
    two.alice.send_line("/msg @bob while you were away")
    two.alice.event("notice", to="bob")
    two.come()
    two.bob.event("message", text="while you were away")
    assert two.alice.event("delivered", to="bob")["text"] == "while you were away"


@LONG
def test_mode_change_is_shown_once_on_each_side(two: Two) -> None:
    two.come()
    two.talk()
    for client in (two.alice, two.bob):
        client.forget()
    for mode in ("half", "full"):
        two.alice.send_line(f"/mode {mode}")
        two.alice.event("session", mode=mode)
        two.bob.event("session", mode=mode)
        two.alice.send_line(mode)
        two.bob.event("message", text=mode)
        two.bob.send_line(mode)
        two.alice.event("message", text=mode)
    for client in (two.alice, two.bob):
        told = [one.get("mode") for one in client.events() if one["event"] == "session"]
        assert [mode for mode in told if mode] == ["half", "full"]


def test_line_after_a_failed_call_is_queued_with_its_date(two: Two) -> None:
    alice = two.alice
    alice.send_line("/chat bob")
    alice.event("error", command="chat")
    assert alice.event("session", id="bob", state="closed", current=True)
    alice.send_line("hello")
    number = alice.event("notice", to="bob")["id"]
    alice.send_line('{"do": "outbox"}')
    (waiting,) = alice.event("answer", command="outbox")["messages"]
    assert (waiting["to"], waiting["id"], waiting["text"]) == ("bob", number, "hello")
    alice.send_line("/history bob")
    alice.event("message", text="hello", history=True, said=waiting["said"])
    time.sleep(1.0)
    two.come()
    heard = two.bob.event("message", from_="alice", text="hello")
    assert heard["said"] == waiting["said"] < heard["time"]
    sent = alice.event("sent", to="bob", text="hello")
    assert sent["said"] == waiting["said"] < sent["time"]
