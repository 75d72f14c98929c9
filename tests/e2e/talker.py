"""A person in a long conversation: one program after another in the same home, and all that they told."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.harness import LIMIT, JsonClient, Stage, free_port

_PATIENCE = 10  # times LIMIT that anything may take while something still happens


@dataclass(eq=False)
class Account:
    """Fate of messages according to the events of a program; each event is read once, in order."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)
    lost: list[dict[str, Any]] = field(default_factory=list)  # undelivered and uncertain ones
    waits: dict[int, str] = field(default_factory=dict)  # by number, who for: it may be taken back
    sessions: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Sort one event in."""
        kinds = {
            "message": self.heard,
            "sent": self.sent,
            "delivered": self.delivered,
            "undelivered": self.lost,
            "uncertain": self.lost,
            "session": self.sessions,
            "error": self.errors,
        }
        if event["event"] in kinds:
            kinds[event["event"]].append(event)
        elif event["event"] == "notice" and "to" in event and "id" in event:
            self.waits[event["id"]] = event["to"]

    @property
    def state(self) -> str:
        """Of the only conversation, as last told; empty before there is one."""
        return str(self.sessions[-1]["state"]) if self.sessions else ""


class Talker(JsonClient):
    """A client whose events are counted as they come."""

    _read = 0

    def start(self) -> None:
        self.account = Account()
        super().start()

    def read(self) -> Account:
        """All that it has told until now. What a killed program did not end is not told."""
        lines = self.output.lines
        while self._read < len(lines):
            try:
                event = json.loads(lines[self._read])
            except ValueError:
                assert self.output.ended and self._read == len(lines) - 1, lines[self._read]
                event = {"event": "cut off"}
            self.account.take(event)
            self._read += 1
        return self.account

    def until(self, fact: Callable[[Account], bool], name: str) -> None:
        """Wait until `fact` holds of what it told: as long as it tells something every LIMIT seconds."""
        last = time.monotonic() + _PATIENCE * LIMIT
        while not fact(self.read()):
            assert time.monotonic() < last, f"{name} did not come\n{self.transcript()}"
            self.wait_for(lambda: len(self.output.lines) > self._read, name)

    def settle(self, texts: int) -> None:
        """Wait until so many messages of its own are delivered."""
        self.until(lambda told: len(told.delivered) >= texts, f"{texts} messages delivered")

    def hear(self, texts: int) -> None:
        """Wait until so many messages have come."""
        self.until(lambda told: len(told.heard) >= texts, f"{texts} messages")

    def conversations(self) -> list[dict[str, Any]]:
        """Return the rows of /who."""
        self.forget()
        self.send_line("/who")
        return list(self.event("answer", command="who")["conversations"])


class Person:
    """Person with a home, a port and an id, whose program can be started again and again."""

    def __init__(
        self, stage: Stage, name: str, server: int, *options: str, port: int | None = None
    ) -> None:
        self.name = name
        self.port = port or free_port()
        self.typed: list[str] = []
        self.lives: list[Talker] = []
        self._home = stage.place(f"{name}-home")
        self._stage = stage
        self._options = (
            "--id", name, "--port", f"tcp:{self.port}:interface=127.0.0.1",
            "--server", f"127.0.0.1:{server}", "--ui", "json", *options,
        )  # fmt: skip
        self.begin()
        self.now.event("registered")

    def begin(self) -> None:
        """Start the program, until its port is open."""
        program: Talker = self._stage.start(
            "chatclient", *self._options, kind=Talker, home=self._home
        )
        program.start()
        self.lives.append(program)

    @property
    def now(self) -> Talker:
        """The program that runs, or ran last."""
        return self.lives[-1]

    def kill(self) -> None:
        """End it here and now (SIGKILL)."""
        self.now.signal(signal.SIGKILL)
        self.now.wait()
        self.now.read()

    def leave(self) -> None:
        """End the conversation, if there is one, and the program."""
        if self.now.conversations():
            self.now.send_line("/quit")
        self.now.send_line("/quit")
        assert self.now.wait() == 0

    def say(self, *texts: str, to: Person | None = None) -> None:
        """Type texts at once, to the current conversation or to somebody."""
        before = f"/msg @{to.name} " if to else ""
        self.typed += texts
        self.now.send("".join(f"{before}{text}\n" for text in texts).encode())


def acquaint(caller: Person, callee: Person) -> None:
    """A first call, taken: they know each other's keys, and talk."""
    caller.now.send_line(f"/chat {callee.name}")
    callee.now.event("incoming", id=caller.name, encrypted=True, confirmed=True)
    callee.now.send_line(f"/accept {caller.name}")
    caller.now.event("session", id=callee.name, state="open")
    callee.now.event("session", id=caller.name, state="open")


def assert_all_arrived(speaker: Person, listener: Person) -> None:
    """In their only lives: every text once, in order, sent, delivered, and never said to be lost."""
    told, heard = speaker.now.read(), listener.now.read()
    assert [event["text"] for event in heard.heard] == speaker.typed
    assert all(event["from"] == speaker.name for event in heard.heard)
    assert [event["text"] for event in told.sent] == speaker.typed
    ids = [event["id"] for event in told.sent]
    assert ids == sorted(set(ids)) == [event["id"] for event in heard.heard]
    assert [event["id"] for event in told.delivered] == ids
    assert all(event["to"] == listener.name for event in told.delivered)
    assert told.lost == []
    assert told.errors == []
