"""The assignment's first example from end to end: a server and two clients, each on a terminal."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Program, Stage, free_port

PLACE = r"127\.0\.0\.1"


@pytest.fixture
def terminal(stage: Stage) -> Callable[..., Program]:
    """Starts a program on a terminal of its own; all in one folder, as people do."""
    together = stage.place("together")

    def start(plugin: str, *options: str) -> Program:
        program: Program = stage.start(plugin, *options, terminal=True, cwd=together)
        return program

    return start


def type_line(program: Program, line: str, *answers: str) -> list[str]:
    """Type a line, wait for the lines that match these patterns; the groups of all of them."""
    program.send_line(line)
    return [group for answer in answers for group in program.expect(re.compile(answer)).groups()]


def test_the_first_example(terminal: Callable[..., Program]) -> None:
    where = free_port()
    server = terminal("chatserver", "--port", str(where))
    server.expect(re.compile(rf"^Server listening on \S+:{where}$"))
    to_it = ("--server", f"127.0.0.1:{where}", "--plain", "--ui", "plain")
    alice = terminal("chatclient", "--id", "alice", "--port", str(free_port()), *to_it)
    bob = terminal("chatclient", "--id", "bob", "--port", str(free_port()), *to_it)
    alice_at = alice.expect(re.compile(r"^alice running on \S+:(\d+)$"))[1]
    bob_at = bob.expect(re.compile(r"^bob running on \S+:(\d+)$"))[1]

    type_line(alice, "/id", "^alice$")
    alice.send_line("/register")
    server.expect(f"REGISTER: alice from 127.0.0.1:{alice_at} received")
    type_line(alice, "/bridge", r"^\* .*wait")
    server.expect(f"BRIDGE: alice 127.0.0.1:{alice_at}")

    type_line(bob, "/id", "^bob$")
    bob.send_line("/register")
    server.expect(f"REGISTER: bob from 127.0.0.1:{bob_at} received")
    type_line(bob, "/bridge", rf"alice.* {PLACE}:{alice_at}")
    server.expect(f"BRIDGE: bob 127.0.0.1:{bob_at} alice 127.0.0.1:{alice_at}")
    type_line(bob, "/chat", rf"^\* calling alice {PLACE}:{alice_at}", r"^\* your turn")
    alice.expect(f"Incoming chat request from bob 127.0.0.1:{bob_at}")

    type_line(bob, "hello", r"^\* alice's turn")
    alice.expect("bob> hello")
    alice.expect("* your turn")
    type_line(alice, "grüße, bob", r"^\* bob's turn")
    bob.expect("alice> grüße, bob")
    bob.expect("* your turn")
    alice.send_line("typed out of turn")
    bob.send_line("how are you?")
    alice.expect("bob> how are you?")
    bob.expect("alice> typed out of turn")

    bob.send_line("/quit")
    assert bob.wait() == 0
    alice.expect(re.compile(r"^\* .*bob"))
    alice.send_line("/quit")
    assert alice.wait() == 0

    type_line(server, "/info", rf"^(alice|bob) {PLACE}:\d+$", rf"^(alice|bob) {PLACE}:\d+$")
    server.send_line("/quit")
    assert server.wait() == 0
    for program, others in ((alice, "bob"), (bob, "alice")):
        unmarked = [line for line in program.lines if line and not line.startswith("* ")]
        said = [line for line in unmarked if line.startswith(f"{others}> ")]
        own = program.command[program.command.index("--id") + 1]
        fixed = re.compile(rf"{own}$|{own} running on |Incoming chat request from |alice {PLACE}:")
        assert all(line in said or fixed.match(line) for line in unmarked), unmarked


def test_input_from_a_pipe_ends_the_client_when_it_ends(stage: Stage) -> None:
    server, port = stage.server()
    client: Program = stage.start(
        "chatclient", "--id", "alice", "--server", f"127.0.0.1:{port}", "--plain"
    )
    client.send(b"/id\r\n/register\n/info")  # CRLF, LF, and a last line without an end
    client.end_input()
    client.expect("alice")
    client.expect(re.compile(rf"alice {PLACE}:\d+"))
    assert client.wait() == 0
    server.expect(re.compile(rf"^REGISTER: alice from {PLACE}:\d+ received$"))


def test_input_from_a_file(stage: Stage) -> None:
    """A regular file, which not every reactor can wait for, is read to its end all the same."""
    script = stage.place("script") / "lines"
    script.write_text("/id\n")
    client = stage.start("chatclient", "--id", "alice", "--server", "none", "--plain")
    client.end()
    shell = ["sh", "-c", f'"$@" < {script}', "sh", *client.command]
    again = Program(shell, Path(script.parent))
    stage.programs.append(again)
    again.expect("alice")
    assert again.wait() == 0


@pytest.mark.parametrize("ui", ["plain", "json"])
def test_control_c_ends_the_client(ui: str, terminal: Callable[..., Program]) -> None:
    client = terminal("chatclient", "--id", "alice", "--server", "none", "--plain", "--ui", ui)
    client.expect(re.compile("running"))
    client.send(b"\x03")
    assert client.wait() in (0, -signal.SIGINT)


def test_the_server_goes_on_when_its_input_ends(stage: Stage) -> None:
    server, port = stage.server()
    server.send_line("/info")
    server.end_input()
    client = stage.client("alice", port)
    client.send_line("/register")
    client.event("registered")
    assert server.running


def test_the_log_of_a_client_stays_off_its_screen(terminal: Callable[..., Program]) -> None:
    client = terminal("chatclient", "--id", "alice", "--server", "none", "--plain", "--ui", "plain")
    client.expect(re.compile("^alice running on "))
    client.send_line("/quit")
    assert client.wait() == 0
    assert not [line for line in client.lines if re.match(r"\d{4}-\d\d-\d\dT", line)]


def test_text_of_a_stranger_is_shown_and_never_obeyed(stage: Stage) -> None:
    from tests.e2e.dialects.wires import Wire

    client: Program = stage.start(
        "chatclient",
        *("--id", "alice", "--server", "none", "--plain", "--ui", "plain"),
        *("--port", "tcp:0:interface=127.0.0.1"),
    )
    port = int(client.expect(re.compile(r"^alice running on \S+:(\d+)$"))[1])
    with Wire.dial(port) as wire:
        wire.send(b"CHAT\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        client.expect("Incoming chat request from zoe 127.0.0.1:3000")
        wire.send("\x1b[2Jcleared \x9b31m\x07 \u202egnol".encode())
        client.expect(re.compile(r"^zoe> .*cleared"))
        client.send_line("ok")
        wire.recv()
        wire.send(b"QUIT\r\n\r\n")
        client.expect(re.compile(r"^\* .*zoe"))
    said = "\n".join(client.lines)
    assert not set(said) & {"\x1b", "\x9b", "\x07", "\u202e"}
