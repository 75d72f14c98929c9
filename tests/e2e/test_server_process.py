"""The server as a process: what a person does to it, and what its surroundings do."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, TWISTD, Program, Stage, free_port, other_port
from tests.long import some

TWIST = [sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()"]
SCRIPT = [sys.executable, "-c", "from chatproto.cli.main import chatserver; chatserver()"]
REGISTER = "REGISTER\r\nclientID: {0}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"


def run(
    folder: Path, *options: str, command: tuple[str, ...] = (*TWISTD, "-n", "chatserver")
) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env=dict(os.environ, HOME=str(folder)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def ask(port: int, text: str, answers: int = 1) -> str:
    """Return the server's answer on one connection, until `answers` blank lines have come."""
    with socket.create_connection(("127.0.0.1", port), LIMIT) as connection:
        connection.settimeout(LIMIT)
        connection.sendall(text.encode())
        answer = b""
        while answer.count(b"\r\n\r\n") < answers:
            chunk = connection.recv(65536)
            assert chunk, answer
            answer += chunk
    return answer.decode()


@pytest.mark.parametrize(
    ("options", "complaint"),
    some(
        3,
        [
            (("--port", "66000"), "66000"),
            (("--port", "nonsense:1"), "'nonsense:1' is neither a port nor an endpoint"),
            (("--port",), "option --port requires argument"),
            (("--prot", "1"), "option --prot not recognized"),
            (("--lobby", "-1"), "'-1' is neither a port nor an endpoint"),
            (("--limits", "lines=3"), "there is no limit named 'lines'"),
            (("--store", "paper:"), "--store: no store 'paper:'"),
            (("--classic-lease", "soon"), "--classic-lease takes a time"),
            (("more",), "unknown argument 'more'"),
        ],
    ),
)
def test_a_wrong_option_is_one_line_and_code_1(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    ended = run(tmp_path, *options)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert complaint in ended.stderr


@pytest.mark.parametrize("command", [(*TWISTD, "-n", "chatserver"), (*TWIST, "chatserver")])
def test_a_taken_port_is_one_line_and_code_2(tmp_path: Path, command: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        ended = run(tmp_path, "--home", str(tmp_path / "home"), "--port", port, command=command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "Address already in use" in ended.stderr


def test_a_daemon_that_cannot_start_says_so_at_the_terminal(tmp_path: Path) -> None:
    home, pidfile = tmp_path / "home", tmp_path / "pid"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        command = (*TWISTD, "--pidfile", str(pidfile), "chatserver")
        ended = run(tmp_path, "--home", str(home), "--port", place, command=command)
    assert ended.returncode == 1
    assert "cannot listen on 127.0.0.1:" in ended.stderr
    assert not pidfile.exists()
    log = (home / "chatserver.log").read_text()
    assert "cannot start: cannot listen on 127.0.0.1:" in log
    assert "Traceback" not in log


def test_a_taken_lobby_port_is_one_line_and_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        lobby = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        port = "tcp:0:interface=127.0.0.1"
        home = str(tmp_path / "home")
        ended = run(tmp_path, "--home", home, "--port", port, "--lobby", lobby)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", [(*TWISTD, "-n", "chatserver"), tuple(SCRIPT)])
def test_a_home_that_cannot_be_is_one_line_and_code_2(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    ended = run(tmp_path, "--home", str(tmp_path / "file" / "home"), command=command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "--home" in ended.stderr


def test_a_log_that_cannot_be_written_is_one_line_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "chatserver.log").mkdir()
    ended = run(tmp_path, "--home", str(tmp_path))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "chatserver.log" in ended.stderr


def test_help_explains_every_option(tmp_path: Path) -> None:
    ended = run(tmp_path, "--help")
    assert ended.returncode == 0
    options = re.findall(r"^ +(?:-p, )?--([a-z-]+)", ended.stdout, re.MULTILINE)
    wanted = "port lobby store home limits trace quiet blur classic-lease help version"
    assert set(wanted.split()) <= set(options)
    assert run(tmp_path, "--version").stdout.startswith("chatserver ")
    assert "lobby_members=10000" in run(tmp_path, "--limits", "list").stdout


@pytest.mark.parametrize("terminal", [False, True])
def test_operator_commands_and_stop_work(stage: Stage, terminal: bool) -> None:
    server, port = stage.server(terminal=terminal)
    assert "Status: registered" in ask(port, REGISTER.format("alice"))
    server.expect(re.compile(r"^REGISTER: alice from 127\.0\.0\.1:\d+ received$"))
    server.send_line("/info")
    server.expect(re.compile(r"^alice 127\.0\.0\.1:3000$"))
    server.send_line("/inof")
    server.expect("* unknown command /inof: did you mean /info?")
    server.send_line("/kick alice")
    server.expect('* "alice" is disconnected and no longer registered')
    server.send_line("/quit")
    assert server.wait() == 0


def test_standard_output_holds_nothing_of_the_log(stage: Stage) -> None:
    home = stage.place("home")
    server, _ = stage.server(home=home)
    server.send_line("/quit")
    assert server.wait() == 0
    assert [line.split()[0] for line in server.lines] == ["Server", "*"]
    assert server.errors.lines == []
    assert "starting up" in (home / "chatserver.log").read_text()


def test_the_end_of_input_ends_the_reading_only(stage: Stage) -> None:
    server, port = stage.server()
    server.send(b"/info")
    server.end_input()
    server.expect("* no clients are registered")
    assert "REGACK" in ask(port, REGISTER.format("bob"))
    assert server.end() == -15


def test_second_signal_ends_a_stopping_server(stage: Stage) -> None:
    server, _ = stage.server()
    server.send(b"/quit\n/quit\n")
    assert server.wait() == 0
    assert [line.split()[0] for line in server.lines] == ["Server", "*"]
    server, port = stage.server()
    with socket.create_connection(("127.0.0.1", port), LIMIT) as lingers:
        lingers.sendall(b"PROBE\r\n\r\n")
        assert lingers.recv(100)
        server.signal(signal.SIGTERM)
        assert lingers.recv(100) == b""  # it has begun to stop, and waits for the other side
        server.signal(signal.SIGTERM)
        assert server.wait() == -15
    server.assert_no_traceback()


def test_server_starts_without_standard_descriptors(stage: Stage) -> None:
    port = free_port()
    home = stage.place("home")
    command = shlex.join([*TWISTD, "-n", "chatserver", "--port", str(port), "--home", str(home)])
    server = Program(["sh", "-c", f"{command} <&- >&- 2>&- & echo $!; wait"], home, [home])
    stage.programs.append(server)
    pid = int(server.expect(re.compile(r"^\d+$"))[0])
    try:
        log = home / "chatserver.log"
        while not (log.exists() and "ChatFactory starting" in log.read_text()):
            assert server.running
            os.sched_yield()
        assert "REGACK" in ask(port, REGISTER.format("bob"))
    finally:
        os.kill(pid, 15)
    server.wait()


def test_unread_pipe_stops_nothing(stage: Stage) -> None:
    server, port = stage.server()
    server.output.reading.clear()
    before = server.resident()
    for _ in range(10):
        requests = "".join(REGISTER.format(f"client-{number}") for number in range(3000))
        assert ask(port, requests, answers=3000).count("registered") == 3000
    assert server.resident() - before < 12 << 20
    server.output.reading.set()
    server.expect(re.compile(r"^\* \d+ lines were not printed$"))
    server.send_line("/quit")
    assert server.wait() == 0


def test_unread_terminal_stops_nothing(stage: Stage) -> None:
    server, port = stage.server(terminal=True)
    server.output.reading.clear()
    for _ in range(2):
        requests = "".join(REGISTER.format(f"client-{number}") for number in range(3000))
        assert ask(port, requests, answers=3000).count("registered") == 3000


def test_closed_output_stops_nothing(stage: Stage) -> None:
    home = stage.place("home")
    port = free_port()
    command = shlex.join([*TWISTD, "-n", "chatserver", "--port", str(port), "--home", str(home)])
    shell = Program(["sh", "-c", f"{command} <&0 | head -n 1"], home, [home])
    stage.programs.append(shell)
    shell.expect(re.compile("^Server listening on"))
    for name in ("alice", "bob", "cid"):
        assert "REGACK" in ask(port, REGISTER.format(name))
    shell.send_line("/quit")
    assert shell.wait() == 0


def test_two_servers_share_a_folder(stage: Stage) -> None:
    folder = stage.place("both")
    _, one = stage.server(cwd=folder)
    _, two = stage.server(cwd=folder)
    for port in (one, two):
        assert "REGACK" in ask(port, REGISTER.format("alice"))
    assert list(folder.iterdir()) == []


def test_server_runs_in_the_background_of_a_shell(stage: Stage) -> None:
    home = stage.place("home")
    command = shlex.join(
        [*TWISTD, "-n", "chatserver", "--port", "tcp:0:interface=127.0.0.1", "--home", str(home)]
    )
    shell = Program(["bash", "--norc", "--noediting", "-i"], home, [home], terminal=True)
    stage.programs.append(shell)
    shell.send_line("PS1=; stty tostop")
    shell.send_line(f"{command} &")
    port = int(shell.expect(re.compile(r"Server listening on 127\.0\.0\.1:(\d+)$"))[1])
    shell.send_line("echo the shell is $((40 + 2))")
    shell.expect(re.compile("the shell is 42"))
    assert "REGACK" in ask(port, REGISTER.format("alice"))
    shell.expect(re.compile("REGISTER: alice"))
    shell.send_line("jobs")
    shell.expect(re.compile(r"^\[1\].*Running"))
    shell.send_line("fg")
    shell.send_line("/info")
    shell.expect(re.compile(r"^alice 127\.0\.0\.1:3000$"))
    shell.send_line("/quit")
    shell.send_line("echo code $?")
    shell.expect("code 0")
    shell.send_line("exit")
    shell.wait()


def test_server_runs_under_twist(stage: Stage) -> None:
    home = stage.place("home")
    command = [*TWIST, "chatserver", "--port", "tcp:0:interface=127.0.0.1", "--home", str(home)]
    server = Program(command, home, [home])
    stage.programs.append(server)
    server.expect(re.compile(r"^Server listening on 127\.0\.0\.1:\d+$"))
    server.send_line("/quit")
    assert server.wait() == 0
    assert [line.split()[0] for line in server.lines] == ["Server", "*"]
    assert "Main loop terminated" in (home / "chatserver.log").read_text()


def test_the_console_script_is_the_same(stage: Stage) -> None:
    home = stage.place("home")
    command = [*SCRIPT, "--port", "tcp:0:interface=127.0.0.1", "--home", str(home)]
    server = Program(command, home, [home])
    stage.programs.append(server)
    server.expect(re.compile(r"^Server listening on 127\.0\.0\.1:\d+$"))
    server.send_line("/quit")
    assert server.wait() == 0


def test_quiet_prints_nothing_and_blur_no_whole_address(stage: Stage) -> None:
    port = free_port()
    address = f"tcp:{port}:interface=127.0.0.1"
    quiet = stage.start("chatserver", "--port", address, "--quiet")
    quiet.send_line("/info")
    quiet.expect("* no clients are registered")
    assert "REGACK" in ask(port, REGISTER.format("alice"))
    quiet.send_line("/quit")
    assert quiet.wait() == 0
    assert len(quiet.lines) == 1
    blurred = stage.start("chatserver", "--port", address, "--blur", "--trace")
    blurred.expect(re.compile(r"^Server listening on 127\.0\.0\.x:\d+$"))
    assert "REGACK" in ask(port, REGISTER.format("alice"))
    blurred.expect(re.compile(r"^REGISTER: alice from 127\.0\.0\.x:\d+ received$"))
    blurred.send_line("/quit")
    assert blurred.wait() == 0
    assert not [line for line in blurred.lines if "127.0.0.1" in line]


def test_the_lobby_broadcasts(stage: Stage) -> None:
    server, _ = stage.server("--lobby", "tcp:0:interface=127.0.0.1")
    port = other_port(server, "lobby")
    with (
        socket.create_connection(("127.0.0.1", port), LIMIT) as ann,
        socket.create_connection(("127.0.0.1", port), LIMIT) as bob,
    ):
        heard = {ann: "", bob: ""}

        def hear(who: socket.socket, text: str) -> None:
            while text not in heard[who]:
                chunk = who.recv(4096)
                assert chunk, heard[who]
                heard[who] += chunk.decode()

        hear(ann, "guest-2 joined")
        hear(bob, "welcome")
        ann.sendall(b"/nick ann")
        hear(bob, "* guest-1 is now ann")
        bob.sendall("héllo \x1b[2J".encode())
        hear(ann, "guest-2: héllo \u241b[2J")
        server.send_line("/rooms")
        server.expect("* #lobby: 2 members")
        bob.sendall(b"quit")
        assert bob.recv(4096) == b""
        hear(ann, "* guest-2 left")
        server.send_line("/quit")
        hear(ann, "* the server is stopping")
    assert server.wait() == 0
