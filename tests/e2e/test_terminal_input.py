"""Input on a real terminal: pastes run no commands, cut lines are refused, BOMs hide nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Stage, staged
from tests.e2e.test_encryption import person

PAUSE = 0.5
"""Seconds that a person needs between two lines, many times `paste_gap`."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def test_typing_and_pasting_on_a_terminal(stage: Stage, tmp_path: Path) -> None:
    _, port = stage.server()
    bob = person(stage, "bob", port)
    where = ("--server", f"127.0.0.1:{port}", "--port", "tcp:0:interface=127.0.0.1")
    alice = stage.start("chatclient", "--id", "alice", *where, "--ui", "plain", terminal=True)
    alice.expect(re.compile(r"^\* registered with"))
    secret = tmp_path / "secret"
    secret.write_text("nobody offered this")

    def type_line(line: str) -> None:
        time.sleep(PAUSE)
        alice.send_line(line)

    type_line("/chat bob")
    bob.event("incoming", id="alice")
    bob.send_line("/accept")
    alice.expect(re.compile(r"^\* talking with bob"))

    time.sleep(PAUSE)
    alice.send(f"one\n\ufeff/send {secret}\n/quit\n".encode())
    alice.expect("* 2 pasted lines begin with /: Enter sends them as text, /drop forgets them")
    type_line("")
    for text in ("one", f"/send {secret}", "/quit"):
        bob.event("message", text=text)

    time.sleep(PAUSE)
    alice.send(b"two\n/quit\n")
    alice.expect(re.compile(r"^\* 1 pasted line begins with /"))
    type_line("/drop")

    type_line("x" * 5000)
    alice.expect(re.compile(r"^\* that line was not taken: .* 4,095 bytes"))
    type_line("\ufeff/who")
    alice.expect(re.compile(r"^\* bob .*current"))
    type_line("a\tb")
    assert bob.event("message", text="a\tb")
    assert bob.heard()[-2:] == ["two", "a\tb"]
    assert not any(event["event"] == "file" for event in bob.events())
    bob.send_line("c\td")
    alice.expect("bob> c       d")
