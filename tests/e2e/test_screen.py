"""The full interface on a real terminal, seen through a terminal emulator."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import TWISTD, JsonClient, Stage, staged
from tests.e2e.screens import ScreenClient

LOOPBACK = ("--port", "tcp:0:interface=127.0.0.1")
TWIST = (
    sys.executable,
    "-c",
    "import sys; from twisted.application.twist._twist import Twist; Twist.main()",
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def talkers(stage: Stage, columns: int, rows: int, *more: str) -> tuple[ScreenClient, JsonClient]:
    """Alice with a screen and `more` options, and bob, in a conversation."""
    _, port = stage.server()
    bob = stage.open_client("bob", f"127.0.0.1:{port}", "--answer", "all")
    bob.event("registered")
    options = ("--id", "alice", "--server", f"127.0.0.1:{port}", *LOOPBACK, *more)
    alice = ScreenClient(stage.place("alice"), *options, columns=columns, rows=rows)
    try:
        alice.expect("registered with")
        alice.enter("/chat bob")
        alice.wait_for(lambda: alice.prompt.startswith("to bob 🔒>"), "the prompt for bob")
    except BaseException:
        alice.end()
        raise
    return alice, bob


def test_half_typed_line_survives_arriving_messages(stage: Stage) -> None:
    columns, rows = 40, 24
    alice, bob = talkers(stage, columns, rows, "--no-log")
    try:
        alice.enter("hello bob")
        assert bob.event("message", text="hello bob")
        alice.expect("hello bob ✓")
        alice.type("half a line")
        for number in range(100):
            bob.send_line(f"message {number}\x1b[2J\x9b2J\u202e")
        alice.expect("message 99␛[2J")
        alice.settle()
        alice.wait_for(lambda: alice.prompt == "to bob 🔒> half a line", "the prompt")
        assert alice.display[alice.screen.cursor.y - 1].startswith("── bob 🔒encrypted")
        assert sum("message" in row for row in alice.text.split("\n")) == 100
        assert all(len(row) <= columns for row in alice.display)
        alice.resize(columns + 20, rows - 4)
        alice.type(" and more\r")
        assert bob.event("message", text="half a line and more")
        # Their going leaves the line that was begun for them in the prompt.
        alice.type("for bob only")
        bob.send_line("/quit")
        alice.wait_for(
            lambda: "to nobody (was bob)>" in alice.prompt, "the end of the conversation"
        )
        alice.type("\r")
        alice.expect("not sent")
        alice.settle()
        alice.wait_for(lambda: alice.prompt.endswith("for bob only"), "the prompt")
        alice.type("\x03")
        alice.wait_for(lambda: "for bob only" not in alice.prompt, "an empty prompt")
        alice.type("\x04")
        assert alice.wait() == 0
        assert alice.modes() == alice.before
        # With --no-log neither what was said nor what was typed is on the disk.
        home = stage.folder / "alice"
        assert not (home / "history").exists()
        assert all(
            b"hello bob" not in file.read_bytes() for file in home.iterdir() if file.is_file()
        )
    finally:
        alice.end()


def test_paste_is_text_and_the_terminal_is_restored_by_a_signal(stage: Stage) -> None:
    alice, bob = talkers(stage, 120, 40)
    try:
        # A terminal that marks no pastes: line ends and a command in it are text all the same.
        alice.type("/help\rfirst\r/quit\r/msg last\r")
        alice.expect("pasted lines are sent as text")
        alice.settle()
        alice.type("\r")
        assert bob.event("message")["text"].startswith("/help\nfirst\n/quit\n/msg last")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒>", "an empty prompt")
        pasted = "\n".join(["/quit", *(f"line {number}" for number in range(999))])
        alice.paste(pasted)
        alice.type("\r")
        alice.expect("send 1000 lines as one message? Enter sends, Esc takes back")
        alice.type("\r")
        assert bob.event("message")["text"] == pasted
        alice.expect("… 997 more lines")
        alice.settle()
        alice.wait_for(lambda: alice.prompt == "to bob 🔒>", "the prompt")
        alice.type("never sent")
        alice.settle()
        alice.signal(signal.SIGTERM)
        assert alice.wait() in (0, -signal.SIGTERM)  # twistd ends by the signal that it got
        assert alice.modes() == alice.before
        assert alice.raw.rindex(b"\x1b[?2004l") > alice.raw.rindex(b"\x1b[?2004h")
        assert not any("never sent" in row for row in alice.display)
    finally:
        alice.end()


def test_questions_are_answered_by_no_typed_letter(stage: Stage) -> None:
    _, port = stage.server()
    where = f"127.0.0.1:{port}"
    options = (
        "--id",
        "alice",
        "--server",
        where,
        *LOOPBACK,
        "--downloads",
        str(stage.place("got")),
    )
    alice = ScreenClient(stage.place("alice"), *options, columns=80, rows=24)
    try:
        alice.expect("registered with")
        bob = stage.open_client("bob", where, "--answer", "all")
        bob.event("registered")
        bob.send_line("/chat alice")
        alice.expect("? bob calls (encrypted): Alt-a accept")
        for letter in "add a valid advert":
            alice.type(letter)
        alice.wait_for(
            lambda: alice.prompt == "to nobody> add a valid advert", "all letters as text"
        )
        alice.expect("? bob calls (encrypted): Alt-a accept")
        alice.type("\x1bv")
        alice.expect("if bob sees the same digits")
        alice.type("\x1ba")
        bob.event("session", id="alice", state="open")
        # The target stays where it was while the prompt holds text.
        alice.wait_for(lambda: "[1:bob]" in alice.text, "the tab of bob")
        alice.wait_for(lambda: alice.prompt == "to nobody> add a valid advert", "the prompt")
        alice.type("\x15")
        alice.wait_for(lambda: alice.prompt == "to nobody>", "an empty prompt")
        alice.type("\x1b1")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒>", "the prompt for bob")
        offered = stage.folder / "a\u202e\x1b[2J.txt"
        offered.write_text("a file")
        bob.send_line(json.dumps({"do": "send", "paths": [str(offered)]}))
        alice.expect("? bob offers a_[2J.txt (6 bytes): Alt-a accept, Alt-d decline")
        alice.type("\x1bd")
        bob.event("file", state="declined")
        bob.send_line("one for alice in #tea")
        alice.expect("one for alice in #tea")
        assert b"\a\x1b]9;bob calls\x1b\\" in alice.raw
        alice.type("/mo\tha\t")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒> /mode half", "a completed line")
        alice.type("\r")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒 your turn>", "whose turn it is")
        alice.enter("mine")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒 their turn, held>", "whose turn it is")
        alice.enter("later")
        alice.expect("later [held until your turn]")
        alice.hang_up()
        assert alice.wait() in (0, -signal.SIGHUP)
        history = (stage.folder / "alice" / "history").read_text().splitlines()
        assert history == ['"/mode half"', '"mine"', '"later"']
    finally:
        alice.end()


@pytest.mark.parametrize(
    ("launcher", "options", "environment", "sentence"),
    [
        ((*TWISTD, "-n"), (), {"TERM": "dumb"}, "plain interface, because TERM=dumb"),
        ((*TWISTD, "-n", "-r", "epoll"), (), {}, "plain interface, because another reactor"),
        (TWIST, (), {}, "plain interface, because twist installs another reactor"),
        (
            (*TWISTD, "-n", "-r", "epoll"),
            ("--ui", "full"),
            {},
            "--ui full is not possible: another",
        ),
        (TWISTD, (), {}, "the client needs your terminal"),
    ],
)
def test_unsupported_terminal_is_reported_in_one_line(
    tmp_path: Path,
    launcher: tuple[str, ...],
    options: tuple[str, ...],
    environment: dict[str, str],
    sentence: str,
) -> None:
    arguments = ("--id", "alice", "--server", "none", *LOOPBACK, *options)
    alice = ScreenClient(
        tmp_path, *arguments, launcher=launcher, columns=150, environment=environment
    )
    try:
        alice.expect(sentence)
        if "plain" in sentence:
            alice.expect("alice running on")
            alice.type("\x04")
            assert alice.wait() == 0
        else:
            assert alice.wait() == 1
        assert "Traceback" not in alice.text
        assert alice.text.count("because") <= 1
    finally:
        alice.end()


def test_a_start_that_ends_early_gives_the_terminal_back(tmp_path: Path) -> None:
    arguments = ("--id", "alice", "--server", "none", "--port")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        alice = ScreenClient(tmp_path, *arguments, port, columns=120)
        try:
            alice.expect("cannot start: cannot listen on 127.0.0.1:")
            assert alice.wait() == 2
            assert alice.modes() == alice.before
            assert "Traceback" not in alice.text
        finally:
            alice.end()
    for by_signal in (True, False):
        alice = ScreenClient(tmp_path, *arguments, LOOPBACK[1])
        try:
            alice.expect("starting")
            if by_signal:
                alice.signal(signal.SIGTERM)
            else:
                alice.type("\x04")
            assert alice.wait() in ((0, -signal.SIGTERM) if by_signal else (0,))
            assert alice.modes() == alice.before
            assert "Traceback" not in alice.text
        finally:
            alice.end()
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "key.pem").write_text("no key")
    alice = ScreenClient(tmp_path, *arguments, LOOPBACK[1], "--home", "home", columns=120)
    try:
        alice.expect("cannot start: ")
        assert alice.wait() == 2
        assert alice.modes() == alice.before
        assert "key.pem" in alice.text and "Traceback" not in alice.text
    finally:
        alice.end()
