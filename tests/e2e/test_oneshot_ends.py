"""Test how `chatclient send-file` and `receive` fail, and how they continue."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import LIMIT, Program, Stage
from tests.e2e.movers import MIB, noise, sha256
from tests.e2e.scripts import Person, meet
from tests.long import LONG, some

SIZE = 8 * MIB
SLOW = ("--rate", "4M")


@pytest.fixture
def people(stage: Stage) -> tuple[Person, Person]:
    _, port = stage.server()
    alice, bob = Person(stage, "alice", port), Person(stage, "bob", port)
    meet(alice, client := bob.client())
    client.send_line("/quit")
    assert client.wait() == 0
    return alice, bob


def told(program: Program, name: str, **fields: Any) -> dict[str, Any]:
    """Wait for this event of a command with --json."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        events = [json.loads(line) for line in program.lines]
        wanted = fields | {"event": name}
        found[:] = [event for event in events if wanted.items() <= event.items()]
        return bool(found)

    program.wait_for(look, f"{name} {fields}", 2 * LIMIT)
    return found[0]


def one_line(program: Program) -> str:
    """Return the only line on standard error."""
    (line,) = program.errors.lines
    return line


@pytest.mark.parametrize("who", some(1, ["receiver", "sender"]))
def test_interrupted_send_file_resumes_when_repeated(
    people: tuple[Person, Person], tmp_path: Path, who: str
) -> None:
    alice, bob = people
    path = tmp_path / "big.bin"
    expected = noise(path, SIZE)
    taking = bob.begin("receive", "--count", "1", "--json")
    told(taking, "registered")
    sending = alice.begin("send-file", *SLOW, "--json", "bob", str(path))
    told(sending, "file", progress=True)
    stopped = sending if who == "sender" else taking
    stopped.signal(signal.SIGINT)
    assert stopped.wait() == 4, stopped.transcript()
    assert told(stopped, "exit")["code"] == 4
    if who == "sender":
        assert "interrupted: 0 of 1 files sent, repeat the command to continue" in one_line(sending)
    else:
        assert "interrupted: no file received" in one_line(taking)
        assert sending.wait() == 4, sending.transcript()
        assert "bob ended the conversation: 0 of 1 files sent, repeat the command" in one_line(
            sending
        )
        taking = bob.begin("receive", "--count", "1", "--json")
        told(taking, "registered")
    sending = alice.begin("send-file", "--json", "bob", str(path))
    assert sending.wait(2 * LIMIT) == 0, sending.transcript()
    assert taking.wait(2 * LIMIT) == 0, taking.transcript()
    assert told(taking, "file", state="done")["path"] == str(bob.downloads / "big.bin")
    assert {one.name: sha256(one) for one in bob.downloads.iterdir()} == {"big.bin": expected}


def test_full_disk_ends_both_commands_and_a_repeat_resumes(
    people: tuple[Person, Person], tmp_path: Path
) -> None:
    alice, bob = people
    path = tmp_path / "big.bin"
    expected = noise(path, SIZE)
    taking = bob.begin("receive", "--once", "--json")
    told(taking, "registered")
    resource.prlimit(taking.pid, resource.RLIMIT_FSIZE, (2 * MIB, resource.RLIM_INFINITY))
    sending = alice.begin("send-file", *SLOW, "bob", str(path))
    assert taking.wait() == 4, taking.transcript()
    assert "big.bin cannot be written: " in one_line(taking)
    assert sending.wait() == 4, sending.transcript()
    line = one_line(sending)
    assert "the peer cannot write it now" in line or "left" in line, line
    assert (bob.downloads / "big.bin.part").stat().st_size == 2 * MIB
    taking = bob.begin("receive", "--once", "--json")
    told(taking, "registered")
    code, line = alice.do("send-file", "bob", str(path))
    assert (code, line) == (0, "")
    assert taking.wait() == 0, taking.transcript()
    assert {one.name: sha256(one) for one in bob.downloads.iterdir()} == {"big.bin": expected}


@LONG
def test_receive_without_a_file_says_so(people: tuple[Person, Person], tmp_path: Path) -> None:
    alice, bob = people
    code, line = bob.do("receive", "--once", "--timeout", "1")
    assert (code, line) == (4, "chatclient receive: not done within 1 s: no file received")
    path = tmp_path / "a"
    path.write_text("a")
    code, line = alice.do("send-file", "--timeout", "1", "bob", str(path))
    assert (code, line) == (
        5,
        "chatclient send-file: not done within 1 s: nothing was sent to bob",
    )


@LONG
def test_unreadable_files_are_reported_and_the_others_sent(
    people: tuple[Person, Person], tmp_path: Path
) -> None:
    alice, bob = people
    bob.client("--accept", "known")
    (tmp_path / "a").write_text("a")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code, line = alice.do("send-file", "bob", str(pipe), str(tmp_path / "a"))
    assert (code, "neither a file nor a folder" in line) == (5, True), line
    assert (bob.downloads / "a").read_text() == "a"
