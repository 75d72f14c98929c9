"""Scripts: control.sock of a real client, and `chatclient send` and the like with and without one."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import struct
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.e2e.harness import JsonClient, Program, Stage
from tests.e2e.scripts import LOOPBACK, Person, meet
from tests.long import LONG, some


@pytest.fixture
def people(stage: Stage) -> tuple[Person, Person]:
    _, port = stage.server()
    return Person(stage, "alice", port), Person(stage, "bob", port)


# control.sock.


def test_control_socket_is_private_and_lasts_as_the_client(
    people: tuple[Person, Person],
) -> None:
    alice, _ = people
    client, path = alice.client(), alice.home / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client.signal(signal.SIGKILL)
    client.wait()
    assert path.is_socket()  # nobody was left to take it away
    client = alice.client()
    with alice.control() as script:
        script.say("/id")
        assert script.event("answer")["id"] == "alice"
    client.send_line("/quit")
    assert client.wait() == 0
    assert not path.exists()


def test_scripts_and_user_have_separate_targets(
    people: tuple[Person, Person],
) -> None:
    alice, bob = people
    options = ["--id", "alice", "--server", f"127.0.0.1:{alice.port}", "--port", LOOPBACK]
    screen: Program = alice.stage.start("chatclient", *options, home=alice.home)
    screen.expect(re.compile("registered"))
    his = bob.client()
    with alice.control() as one, alice.control() as other:
        one.say("/who")
        one.event("answer", command="who")
        one.say("/chat bob")
        his.event("incoming")
        his.send_line("/accept")
        for script in (one, other):
            script.event("session", state="open")
        one.say('"from\\nthe script"')
        his.event("message", text="from\nthe script")
        for script in (one, other):
            script.event("delivered", to="bob")
        screen.send_line("to whom?")
        screen.expect(re.compile("you are in no conversation"))
        other.say("nor I")
        other.event("error", command="say")
    # What a script says wrong is not told on the screen.
    assert len([line for line in screen.lines if "no conversation" in line]) == 1
    screen.send_line("/quit")
    assert screen.wait() == 0


def test_too_long_socket_path_is_reported_and_the_rest_works(stage: Stage) -> None:
    home = stage.place("x" * 60) / ("y" * 60)
    client: JsonClient = stage.start(
        "chatclient", "--id", "alice", "--server", "none", "--ui", "json", "--port", LOOPBACK,
        kind=JsonClient, home=home,
    )  # fmt: skip
    client.start()
    assert "control.sock" in client.event("notice")["text"]
    client.send_line("/id")
    client.event("answer", command="id")


# One-shot commands.


def test_send_works_without_a_running_client(people: tuple[Person, Person]) -> None:
    alice, bob = people
    his = bob.client()
    meet(alice, his)
    assert alice.do("send", "bob", text=b"from\nstandard input\n") == (0, "")
    his.event("message", text="from\nstandard input")
    assert alice.do("send", "bob", "-", text=b"/quit") == (0, "")
    his.event("message", text="/quit")


def test_send_uses_the_running_client(people: tuple[Person, Person]) -> None:
    alice, bob = people
    his, hers = bob.client("--answer", "all"), alice.client()
    assert alice.do("send", "bob", "hi") == (0, "")
    his.event("message", text="hi")
    hers.event("delivered", to="bob")
    assert hers.running


@pytest.mark.parametrize("runs", some(2, ["nobody", "both", "sender", "receiver"]))
def test_files_go_between_homes_with_and_without_a_client(
    people: tuple[Person, Person], runs: str
) -> None:
    alice, bob = people
    if runs in ("sender", "both"):
        alice.client()
    if runs in ("receiver", "both"):
        bob.client()
    taking = bob.begin("receive", "--from", "alice", "--count", "2", "--json")
    if runs in ("nobody", "sender"):
        taking.expect(re.compile('"registered"'))
    else:
        taking.expect(re.compile('"answer"'))
    folder = alice.stage.place("things")
    (folder / "a b.txt").write_bytes(os.urandom(300_000))
    (folder / "many").mkdir()
    for number in range(3):
        (folder / "many" / f"{number}").write_bytes(bytes(number))
    sending = alice.begin("send-file", "bob", str(folder / "a b.txt"), str(folder / "many"))
    assert sending.wait() == 0, sending.transcript()
    assert taking.wait() == 0, taking.transcript()
    assert (bob.downloads / "a b.txt").read_bytes() == (folder / "a b.txt").read_bytes()
    assert sorted(path.name for path in (bob.downloads / "many").iterdir()) == ["0", "1", "2"]
    events = [json.loads(line) for line in taking.lines]
    assert [event["code"] for event in events if event["event"] == "exit"] == [0]
    assert sending.lines == []


def test_receive_prints_the_path_of_each_file(people: tuple[Person, Person]) -> None:
    alice, bob = people
    taking = bob.begin("receive", "--once")
    path = alice.stage.place("things") / "a"
    path.write_text("here")
    while alice.do("send-file", "bob", str(path))[0] == 3:
        pass  # bob is not registered yet
    assert taking.wait() == 0, taking.transcript()
    assert taking.lines == [str(bob.downloads / "a")]


def test_a_declined_file_and_a_declined_call(people: tuple[Person, Person], tmp_path: Path) -> None:
    alice, bob = people
    path = tmp_path / "a"
    path.write_text("unwanted")
    his = bob.client("--accept", "none")
    meet(alice, his)
    code, line = alice.do("send-file", "bob", str(path))
    assert (code, "declined a" in line) == (3, True), line
    for words in (["send", "bob", "x"], ["send-file", "bob", str(path)]):
        his.send_line("/ignore alice")
        his.event("notice")
        code, line = alice.do(*words)
        assert (code, "declined" in line) == (3, True), line
        his.send_line("/ignore alice")
        his.event("notice")
    his.forget()
    assert alice.do("send", "bob", "and this?") == (0, "")
    his.event("message", text="and this?")
    assert his.heard() == ["and this?"]  # what was declined is not said again later


def test_unknown_or_away_peer(people: tuple[Person, Person], tmp_path: Path) -> None:
    alice, bob = people
    path = tmp_path / "a"
    path.write_text("a")
    for words in (["send", "bob", "x"], ["send-file", "bob", str(path)]):
        code, line = alice.do(*words)
        assert (code, 'no "bob"' in line) == (3, True), line
    his = bob.client()
    meet(alice, his)
    his.send_line("/quit")
    assert his.wait() == 0
    code, line = alice.do("send", "bob", "when you are back")
    assert (code, "queued until" in line) == (4, True), line
    code, line = alice.do("send", "--timeout", "2", "bob", "me too")
    assert (code, "within 2 s" in line) == (4, True), line
    code, line = alice.do("send-file", "bob", str(path))
    assert (code, "away" in line) == (5, True), line
    his = bob.client()
    assert alice.do("send", "bob", "and this") == (0, "")
    texts = [his.event("message")["text"] for _ in range(3)]
    assert texts == ["when you are back", "me too", "and this"]


@LONG
def test_send_with_timeout_waits_for_the_peer(people: tuple[Person, Person]) -> None:
    alice, bob = people
    his = bob.client("--answer", "all")
    his.send_line("/quit")
    assert his.wait() == 0
    waiting = alice.begin("send", "--json", "--timeout", "60", "bob", "there you are")
    waiting.expect(re.compile("is away"))
    his = bob.client("--answer", "all")
    his.event("message", text="there you are")
    assert waiting.wait() == 0, waiting.transcript()


@LONG
def test_two_at_the_same_time_take_turns_or_share(people: tuple[Person, Person]) -> None:
    alice, bob = people
    his = bob.client("--answer", "all")
    both = [alice.begin("send", "bob", f"message {number}") for number in range(2)]
    assert [one.wait() for one in both] == [0, 0], both[1].transcript()
    assert {his.event("message")["text"] for _ in both} == {"message 0", "message 1"}
    taking = alice.begin("receive", "--json")
    taking.expect(re.compile('"registered"'))
    assert alice.do("send", "bob", "through it") == (0, "")
    his.event("message", text="through it")
    assert taking.running
    taking.signal(signal.SIGINT)
    assert taking.wait() == 4


@LONG
def test_messages_received_meanwhile_are_shown_at_the_next_start(
    people: tuple[Person, Person],
) -> None:
    alice, bob = people
    his = bob.client("--answer", "all")
    meeting = alice.begin("receive", "--json", "--from", "bob", "--answer", "all")
    meeting.expect(re.compile('"registered"'))
    his.send_line("/chat alice")
    his.event("session", state="open")
    his.send_line("read this")
    his.event("delivered", to="alice")
    meeting.signal(signal.SIGTERM)
    assert meeting.wait() == 4
    for _ in range(2):
        code, _ = alice.do("info")
        assert code == 0
    hers = alice.client()
    assert hers.event("message")["text"] == "read this"


def test_refusing_and_missing_servers_are_reported(people: tuple[Person, Person]) -> None:
    alice, bob = people
    alice.client()
    thief = Person(alice.stage, "alice", alice.port)
    code, line = thief.do("send", "bob", "x")
    assert (code, "another key" in line) == (3, True), line
    bob.port = 1
    code, line = bob.do("send", "alice", "x")
    assert (code, "127.0.0.1:1" in line) == (5, True), line
    assert bob.do("info")[0] == 5


@pytest.mark.parametrize(
    "words", [("send", "bob@there:5555", "x"), ("send-file", "bob", "/not/there")]
)
def test_a_wrong_option_is_one_line(stage: Stage, words: tuple[str, ...]) -> None:
    code, line = Person(stage, "alice", 1).do(*words, text=b"")
    assert (code, line.startswith(f"chatclient {words[0]}: ")) == (1, True), line


def test_a_home_that_cannot_be_used(stage: Stage, tmp_path: Path) -> None:
    alice = Person(stage, "alice", 1)
    (tmp_path / "file").write_text("")
    alice.home = tmp_path / "file"
    code, line = alice.do("send", "bob", "x")
    assert (code, "cannot start" in line) == (2, True), line


@pytest.mark.parametrize("command", some(1, ["send-file", "send", "receive", "info"]))
def test_each_explains_itself(stage: Stage, command: str) -> None:
    program = Person(stage, "alice", 1).begin(command, "--help")
    assert program.wait() == 0
    assert f"chatclient {command} [options]" in program.lines[0]
    assert any("--timeout" in line for line in program.lines)


@LONG
def test_progress_fits_a_narrow_terminal(people: tuple[Person, Person], tmp_path: Path) -> None:
    alice, bob = people
    bob.client("--answer", "all", "--accept", "known")
    assert alice.do("send", "bob", "hello") == (0, "")
    path = tmp_path / ("long" * 20)
    path.write_bytes(bytes(2_500_000))
    sending = alice.begin("send-file", "--rate", "1M", "bob", str(path), terminal=True)
    ioctl(sending._input, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    assert sending.wait() == 0, sending.transcript()
    drawn = [one for line in sending.lines for one in line.split("\r") if one]
    assert all(len(one) < 40 for one in drawn), drawn
    assert any(re.search(r"^longlong\S+… \d+% .*/s \d+:\d\d *$", one) for one in drawn), drawn
    assert re.search(r"100% done *$", drawn[-1]), drawn
