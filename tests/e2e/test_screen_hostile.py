"""The full interface against hostile text and rough handling, seen through a terminal emulator."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import TWISTD, JsonClient, Stage, staged
from tests.e2e.screens import ScreenClient
from tests.long import LONG

LOOPBACK = ("--port", "tcp:0:interface=127.0.0.1")
HOSTILE = (
    "esc \x1b[2J\x1b[31m\x1b[?1049h end",
    "title \x1b]0;owned\x07\x1b]52;c;QUFB\x07 end",
    "c1 \x9b2J\x85\x9d0;owned\x9c end",
    "bell \x07\x07 back \x08\x08\x08 return \r end",
    "order \u202egnp\u202c \u2066a\u2069 \u200f end",
    "hidden \u200b\u2060\ufeff end",
    "two\n23:59 alice       faked end",
)
WIDE = "漢字" * 40 + " end"
COMBINING = "e\u0301" * 70 + " z" + "\u0300" * 40 + " end"
RIGHT_TO_LEFT = "שלום עולם مرحبا end"
_OWN = re.compile(
    rb"\x1b\[[0-9;?]*[A-Za-z]|\a\x1b\]9;[^\x00-\x1f]*\x1b\\|\x1b[=>]|\x08(?=\x1b\[)|\r|\n|[^\x00-\x1f\x7f]"
)
"""What the interface itself writes: CSI sequences, its notifications, line ends, text.

A backspace moves the cursor by one column, as behind a prompt with one character in its second row.
"""
SHELL = (
    'stty -a >"$HOME"/before; "$@"; stty -a >"$HOME"/stopped; echo stopped here; read -r line;'
    ' fg >/dev/null; stty -a >"$HOME"/after'
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def people(stage: Stage, *options: str, **how: object) -> tuple[ScreenClient, JsonClient, Path]:
    """Alice with a screen and bob, in a conversation; the third is her home."""
    _, port = stage.server()
    bob = stage.open_client("bob", f"127.0.0.1:{port}", "--answer", "all")
    bob.event("registered")
    home = stage.place("alice")
    server = ("--id", "alice", "--server", f"127.0.0.1:{port}", *LOOPBACK)
    alice = ScreenClient(home, *server, *options, **how)  # type: ignore[arg-type]
    try:
        alice.expect("registered with")
        alice.enter("/chat bob")
        alice.wait_for(lambda: alice.prompt.startswith("to bob 🔒>"), "the prompt for bob")
    except BaseException:
        alice.end()
        raise
    return alice, bob, home


def offer(bob: JsonClient, path: Path) -> None:
    path.write_text("a file")
    bob.send_line(json.dumps({"do": "send", "paths": [str(path)]}))
    bob.event("file", state="offered")


def prompts(alice: ScreenClient) -> int:
    return sum(row.startswith("to bob") for row in alice.text.split("\n"))


def test_hostile_text_and_offers_leave_the_screen_and_the_typed_line_alone(stage: Stage) -> None:
    alice, bob, home = people(stage, "--open", "--no-bell")
    try:
        # Messages, file names and a caller's id.
        alice.type("so ")
        for text in (*HOSTILE, WIDE, COMBINING, RIGHT_TO_LEFT):
            bob.send_line(json.dumps(text))
        alice.expect("مرحبا end")
        text = alice.text
        for shown in ("␛[2J␛[31m", "�2J��0;owned� end", "␇␇ back ␈␈␈", "order �gnp� �a� � end"):
            assert shown in text, alice.picture()
        assert "hidden  end" in text
        assert any(row.strip().startswith("┊ 23:59 alice") for row in text.split("\n"))
        assert text.count("漢") == 40
        found = re.search(r"alice running on 127\.0\.0\.1:(\d+)", alice.text)
        assert found
        with socket.create_connection(("127.0.0.1", int(found[1]))) as caller:
            caller.sendall(b"CHAT\r\nclientID: e\x1b[2J\xc2\x9b2Jl> /quit\r\nIP: 1.2.3.4\r\n")
            caller.sendall(b"Port: 4000\r\n\r\n")
            alice.expect("(open, not encrypted)")
            # A file is offered before each character of a sentence: all of it stays text.
            for number, letter in enumerate("add a new video"):
                offer(bob, stage.folder / f"{number}\u202e\x1b[2J\x9b2J.txt")
                alice.type(letter)
            alice.wait_for(lambda: alice.prompt.endswith("> so add a new video"), "the sentence")
            alice.expect("Alt-a accept, Alt-d decline, Alt-v verify")
            alice.type("\r")
            assert bob.event("message")["text"] == "so add a new video"
        files = [one for one in bob.events() if one["event"] == "file"]
        assert not [one for one in files if one["state"] in ("moving", "done", "accepted")]
        alice.wait_for(lambda: alice.prompt.startswith("to bob 🔒>"), "the prompt")
        # A hostile topic, and Tab on hostile file names.
        alice.enter("/join tea")
        alice.expect("in #tea, with nobody else")
        bob.send_line("/join tea")
        bob.event("room", change="joined", own=True)
        bob.send_line(json.dumps("room \x1b[2J\x9b2J end"))
        alice.expect("room ␛[2J�2J end")
        alice.type(f"/send {stage.folder}/1\t\t")
        alice.settle()
        alice.type("\x15/switch b\t\r")
        alice.wait_for(lambda: alice.prompt.startswith("to bob 🔒>"), "the prompt for bob")
        # Lines arrive while the terminal changes its size.
        alice.type("half a line")
        for number in range(60):
            bob.send_line(f"line {number}")
            if number % 10 == 0:
                alice.resize((80, 40, 60, 24, 120, 80)[number // 10], 24)
        alice.expect("line 59")
        alice.settle()
        alice.wait_for(lambda: alice.prompt == "to bob 🔒> half a line", "the prompt")
        assert prompts(alice) == 1
        assert alice.screen.title == ""
        left = _OWN.sub(b"", alice.raw)
        assert not left, left[:100]
        for never in (b"\x1b[2J", b"\x1b[?1049h", *(x.encode() for x in "\x9b\x85\u202e\u2066")):
            assert never not in alice.raw, never
        # The terminal's window is closed.
        alice.hang_up()
        alice.wait()
        assert "Traceback" not in (home / "chatclient.log").read_text()
    finally:
        alice.end()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is needed for its job control")
def test_stopping_and_continuing_keeps_the_line_and_the_modes(stage: Stage) -> None:
    shell = ("bash", "--norc", "--noprofile", "-ic", SHELL, "shell", *TWISTD, "-n")
    alice, bob, home = people(stage, launcher=shell, columns=120, rows=40)
    try:
        alice.type("half a line")
        alice.settle()
        alice.type("\x1a")
        alice.expect("stopped here")
        bob.send_line("said while it stands")
        bob.event("sent")
        alice.settle()
        assert "while it stands" not in alice.text
        alice.type("\r")
        alice.expect("said while it stands")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒> half a line", "the line as it was")
        alice.type("\x03")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒>", "an empty prompt")
        alice.type("\x04")
        assert alice.wait() == 0
        before = (home / "before").read_text()
        assert (home / "stopped").read_text() == before
        assert (home / "after").read_text() == before
    finally:
        alice.end()


@LONG
def test_slow_line_shows_the_end_and_not_every_frame(stage: Stage) -> None:
    alice, bob, _ = people(stage)
    try:
        alice.settle()
        already = len(alice.raw)
        for number in range(300):
            bob.send_line(f"line {number} of three hundred")
            if number == 150:
                alice.type("typed meanwhile")
        begun, read = time.monotonic(), 0
        while read < 3000:  # at 300 bytes a second
            alice.read(1.0, most=30)
            read = len(alice.raw) - already
            time.sleep(max(0.0, begun + read / 300 - time.monotonic()))
        alice.expect("line 299 of")
        alice.wait_for(lambda: alice.prompt.endswith("> typed meanwhile"), "the typed line")
        assert len(alice.raw) - already < 100_000
    finally:
        alice.end()


@LONG
@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"LANG": "C"}, "-- bob encrypted - direct --"),
        ({"LC_ALL": "de_DE.ISO-8859-1"}, "-- bob encrypted - direct --"),
        ({"NO_COLOR": "1"}, "── bob 🔒encrypted · direct ──"),
        ({"TERM": "nosuchterminal"}, "── bob 🔒encrypted · direct ──"),
    ],
)
def test_other_terminals_get_what_they_can_show(
    stage: Stage, environment: dict[str, str], shown: str
) -> None:
    _, port = stage.server()
    bob = stage.open_client("bob", f"127.0.0.1:{port}", "--answer", "all")
    bob.event("registered")
    options = ("--id", "alice", "--server", f"127.0.0.1:{port}", *LOOPBACK)
    alice = ScreenClient(stage.place("alice"), *options, environment=environment)
    try:
        alice.expect("registered with")
        alice.enter("/chat bob")
        alice.expect(shown)
        bob.send_line("grüße \u011b2J 漢")
        alice.expect("2J")
        if "LANG" in environment:
            assert b"gr??e ?2J ?" in alice.raw and alice.raw.isascii()
        if "LC_ALL" in environment:
            assert b"gr\xfc\xdfe ?2J ?" in alice.raw
        for columns, rows in ((20, 5), (10, 3), (5, 2), (1, 1), (80, 24)):
            alice.resize(columns, rows)
            alice.settle()
        alice.type("still here")
        alice.wait_for(lambda: alice.prompt.endswith("> still here"), "the prompt")
        colours = re.findall(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m", alice.raw)
        assert bool(colours) is not bool({"NO_COLOR", "TERM"} & set(environment))
        alice.type("\x03")
        alice.wait_for(lambda: alice.prompt.endswith(">"), "an empty prompt")
        alice.type("\x04")
        assert alice.wait() == 0
        assert alice.modes() == alice.before
    finally:
        alice.end()
