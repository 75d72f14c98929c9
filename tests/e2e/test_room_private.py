"""A word to one member of a room: over a session of the two, relayed or kept, and nothing for the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import JsonClient, Program, Stage, staged
from tests.long import LONG

SECRET = "between-you-and-me"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


class Room:
    """A server that shows every message, and who comes into its room #tea, reached by the relay only."""

    def __init__(self, stage: Stage) -> None:
        self.server: Program
        self.server, self._port = stage.server("--trace")
        self._stage = stage

    def person(self, name: str, home: Path) -> JsonClient:
        where = ("--port", "tcp:0:interface=127.0.0.1", "--server", f"127.0.0.1:{self._port}")
        client: JsonClient = self._stage.start(
            "chatclient", "--id", name, *where, "--ui", "json", "--path", "relay",
            kind=JsonClient, home=home,
        )  # fmt: skip
        client.start()
        client.send_line("/join tea")
        client.event("room", room="#tea", change="joined")
        return client

    def assert_in_the_dark(self) -> None:
        """The server has carried the room's words, and has read no other."""
        self.server.expect(re.compile(r".* -> SAY .*Room: #tea"))
        assert not [line for line in self.server.lines if SECRET in line]


def test_private_message_uses_the_relay(stage: Stage, tmp_path: Path) -> None:
    room = Room(stage)
    alice, bob = (room.person(name, stage.place(name)) for name in ("alice", "bob"))
    alice.send_line(f"/msg @bob {SECRET}")
    bob.event("incoming", id="alice", encrypted=True, confirmed=True, path="relay")
    bob.send_line("/accept alice")
    bob.event("message", from_="alice", text=SECRET, room=None)
    for one, other in ((alice, "bob"), (bob, "alice")):
        one.event("session", id=other, state="open", path="relay")
    bob.send_line(f"/msg @alice {SECRET} too")
    alice.event("message", from_="bob", text=f"{SECRET} too", room=None)
    alice.send_line("to all")
    bob.event("message", from_="alice", text="to all", room="#tea")
    room.assert_in_the_dark()


def test_private_message_to_an_away_member_is_queued(stage: Stage, tmp_path: Path) -> None:
    room, home = Room(stage), stage.place("bob")
    alice, bob = room.person("alice", stage.place("alice")), room.person("bob", home)
    alice.send_line(f"/msg @bob {SECRET} one")
    bob.event("incoming", id="alice")
    bob.send_line("/accept alice")
    bob.event("message", text=f"{SECRET} one")
    alice.event("delivered", to="bob")
    bob.end_input()
    assert bob.wait() == 0
    alice.event("bye", id="bob")
    alice.send_line(f"/msg @bob {SECRET} two")
    alice.event("notice", to="bob")
    alice.send_line("to all")
    alice.event("sent", room="#tea", text="to all")
    bob = room.person("bob", home)
    bob.event("message", from_="alice", text=f"{SECRET} two", room=None)
    assert alice.event("delivered", to="bob")["text"] == f"{SECRET} two"
    bob.event("session", id="alice", state="open", path="relay")
    room.assert_in_the_dark()


@LONG
def test_private_message_to_an_unknown_away_member_fails(stage: Stage) -> None:
    room = Room(stage)
    alice, bob = (room.person(name, stage.place(name)) for name in ("alice", "bob"))
    bob.end_input()
    assert bob.wait() == 0
    alice.event("room", change="parted", id="bob")
    alice.send_line(f"/msg @bob {SECRET}")
    lost = alice.event("undelivered", to="bob", text=SECRET)
    assert "bob is away" in lost["reason"]
    alice.send_line("to all")
    alice.event("sent", room="#tea", text="to all")
    room.assert_in_the_dark()
