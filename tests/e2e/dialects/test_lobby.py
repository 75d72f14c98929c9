"""Broadcast clients (they read in one thread and type in another) in our server's lobby."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.dialects.wires import LIMIT, Fault, Wire
from tests.e2e.harness import JsonClient, Stage, other_port


class Member:
    """One such client; a thread gathers all that it is sent."""

    def __init__(self, port: int) -> None:
        self.wire = Wire.dial(port)
        self.wire.sock.settimeout(None)
        self._text = ""
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                chunk = self.wire.sock.recv(1024)
            except OSError:
                chunk = b""
            with self._changed:
                self._text += chunk.decode("utf-8", "replace")
                self._ended = not chunk
                self._changed.notify_all()
            if not chunk:
                return

    def say(self, text: str) -> None:
        self.wire.send(text.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for it in what was not looked at yet; what is before its end is then behind us."""
        deadline = time.monotonic() + LIMIT
        with self._changed:
            while not (match := re.search(pattern, self._text)):
                if self._ended or not self._changed.wait(deadline - time.monotonic()):
                    raise Fault(f"no {pattern!r} in {self._text!r}")
            self._text = self._text[match.end() :]
            return match

    def close(self) -> None:
        """Leave; a close alone would not end the connection while the thread is in recv."""
        with contextlib.suppress(OSError):
            self.wire.half_close()
            self.wire.sock.shutdown(socket.SHUT_RD)
        self.wire.close()

    def expect_end(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, LIMIT):
                raise Fault("the connection goes on")

    def unread(self) -> str:
        with self._changed:
            return self._text


@pytest.fixture(scope="module")
def lobby(shared_stage: Stage) -> int:
    server, _ = shared_stage.server("--lobby", "tcp:0:interface=127.0.0.1")
    return other_port(server, "lobby")


@pytest.fixture
def members(lobby: int) -> Iterator[list[Member]]:
    """Three who are in, and have a name."""
    names = ("ann", "ben", "cat")
    inside: list[Member] = []
    for name in names:
        member = Member(lobby)
        member.expect(r".+")  # one line greets a newcomer
        member.say(f"/nick {name}")
        member.expect(rf"\* you are {name}|\* .* is now {name}")
        for other in inside:
            other.expect(rf"\* .* is now {name}")
        inside.append(member)
    yield inside
    for member in inside:
        member.close()


def test_line_goes_to_all_other_members(members: list[Member]) -> None:
    ann, ben, cat = members
    ann.say("hello grüße")
    ben.expect("ann: hello grüße")
    cat.expect("ann: hello grüße")
    ben.say("hi")
    ann.expect("ben: hi")
    cat.expect("ben: hi")
    assert "hello" not in ann.unread()


def test_private_line_goes_to_one_member(members: list[Member]) -> None:
    ann, ben, cat = members
    ann.say("/msg ben secret")
    ben.expect("secret")
    ann.say("public")
    cat.expect("ann: public")
    ben.expect("ann: public")
    assert "secret" not in cat.unread()


def test_joins_and_leaves_are_shown(lobby: int, members: list[Member]) -> None:
    ann, ben, cat = members
    dan = Member(lobby)
    ann.expect(r"\* guest-\d+ joined")
    dan.expect(r".+")
    dan.say("/nick dan")
    ann.expect("dan")
    ben.expect("dan")
    dan.say("quit")
    dan.expect_end()
    ann.expect(r"\* dan left")
    ben.close()
    ann.expect(r"\* ben left")
    cat.say("over")
    cat.expect_end()
    ann.expect(r"\* cat left")


def test_client_without_line_ends_gets_none(lobby: int, members: list[Member]) -> None:
    ann, ben, _ = members
    netcat = Member(lobby)
    netcat.expect(r".+")
    netcat.say("/nick net\n")
    ann.expect("net")
    netcat.say("with an end\n")
    ann.expect("net: with an end")
    ann.say("without")
    netcat.expect("ann: without\r?\n")
    ben.expect("ann: without")
    ben.say("after")
    ann.expect("ben: after")
    assert "\n" not in ann.unread()
    netcat.close()


def test_a_taken_name_is_refused(members: list[Member]) -> None:
    ann, ben, cat = members
    cat.say("/nick ann")
    cat.expect(r"\* .*ann")
    cat.say("who am I")
    ben.expect("cat: who am I")
    ann.expect("cat: who am I")


def test_our_client_calls_a_lobby(stage: Stage, lobby: int, members: list[Member]) -> None:
    client: JsonClient = stage.client("alice")
    client.send_line(f"/chat --as lobby 127.0.0.1:{lobby}")
    members[0].expect(r"guest-\d+ joined")
    client.send_line("/msg one")  # /msg is our own command: its text is what is said
    client.send_line("two")
    members[0].expect(r"guest-\d+: one")
    members[0].expect(r"guest-\d+: two")
    members[1].say("hi alice")
    client.event("message", text=lambda text: "ben: hi alice" in text)
    client.send_line("/quit")
    members[0].expect(r"guest-\d+ left")
