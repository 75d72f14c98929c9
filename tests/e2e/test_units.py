"""Test the systemd units in misc/: they start this program on a socket that it is handed."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproto.cli.server_options import ServerOptions
from tests.e2e.harness import LIMIT, TWISTD, Program, Stage, free_port, other_port
from tests.e2e.test_server_process import REGISTER, ask

MISC = Path(__file__).parents[2] / "misc"
UNITS = ("chatserver.service", "chatserver@.service")
HANDED = "systemd:domain=INET6:index=0"
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)  # where systemd puts the first
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="chatserver.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


def setting(unit: str, name: str) -> list[str]:
    """Every value of a setting."""
    return re.findall(rf"^{name}=(.*)$", (MISC / unit).read_text(), re.MULTILINE)


def command(unit: str) -> list[str]:
    """Return the command of ExecStart with the values for the instance 5555."""
    [line] = setting(unit, "ExecStart")
    line = line.replace("%i", "5555").replace("$CHATSERVER_OPTIONS", "")
    return shlex.split(line)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_a_program_that_knows_its_options(tmp_path: Path, unit: str) -> None:
    words = command(unit)
    assert words[0] == "/opt/chatproto/bin/twistd"
    place = words.index("chatserver")
    given = " ".join(words[place + 1 :]).replace("${STATE_DIRECTORY}", str(tmp_path))
    # No socket is handed over here, and no Redis asked.
    given = given.replace(HANDED, "5555").replace("redis://127.0.0.1:6379/0", "memory:")
    options = ServerOptions()
    options.parseOptions(given.split())
    assert options["port"] == ["5555"] and options["quiet"]


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_gives_the_server_time_to_end_and_files_to_open(unit: str) -> None:
    assert float(setting(unit, "TimeoutStopSec")[0]) > 5
    assert int(setting(unit, "LimitNOFILE")[0]) > 20_000
    assert not setting(unit, "MemoryDenyWriteExecute"), "pyOpenSSL would not start"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_and_little_to_fear(unit: str) -> None:
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(MISC / unit)], capture_output=True, text=True
    )
    complaints = [line for line in checked.stderr.splitlines() if "is not executable" not in line]
    assert not [line for line in complaints if "chatserver" in line], complaints
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(MISC / unit)],
        capture_output=True,
        text=True,
    )
    assert judged.returncode == 0, judged.stdout[-300:]


def test_the_container_runs_a_program_that_knows_its_options(tmp_path: Path) -> None:
    text = (MISC / "Containerfile").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^ENTRYPOINT \[(.*)\]$", text, re.MULTILINE)
    words = re.findall(r'"([^"]*)"', line)
    options = ServerOptions()
    given = words[words.index("chatserver") + 1 :]
    options.parseOptions(
        [str(tmp_path) if word == "/var/lib/chatproto" else word for word in given]
    )
    assert options["metrics"] == "tcp:9100:interface=127.0.0.1"
    assert "127.0.0.1:9100/health" in text


def test_the_health_check_of_the_container_asks_the_server(stage: Stage) -> None:
    text = (MISC / "Containerfile").read_text().replace("\\\n", " ")
    [check] = re.findall(r'^HEALTHCHECK .*"-c",\s+"(.*)"\]$', text, re.MULTILINE)
    server, _ = stage.server("--metrics", "tcp:0:interface=127.0.0.1")
    command = [sys.executable, "-c", check.replace("9100", str(other_port(server, "metrics")))]
    assert subprocess.run(command, timeout=LIMIT).returncode == 0
    server.signal(signal.SIGTERM)
    server.wait()
    assert subprocess.run(command, capture_output=True, timeout=LIMIT).returncode != 0


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """The port, as systemd holds it: for IPv6 and IPv4."""
    with socket.socket(socket.AF_INET6) as held:
        held.bind(("::", 0))
        held.listen()
        held.set_inheritable(True)
        yield held


def activated(stage: Stage, held: socket.socket) -> Program:
    """The server, as systemd starts it with that socket."""
    home = stage.folder / "home"
    home.mkdir(exist_ok=True)
    launcher = [sys.executable, "-c", LAUNCHER, str(held.fileno())]
    server = ["-n", "--pidfile=", "chatserver", "--store", "memory:", "--home", str(home)]
    program = Program(
        [*launcher, *TWISTD, *server, "--port", HANDED],
        stage.place("cwd"),
        [home],
        keep=(held.fileno(),),
    )
    stage.programs.append(program)
    return program


def test_early_connections_wait_for_the_server(stage: Stage, listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    early = socket.create_connection(("127.0.0.1", port), LIMIT)
    early.sendall(REGISTER.format("early").encode())
    first = activated(stage, listening)
    early.settimeout(LIMIT)
    assert early.recv(1024).startswith(b"REGACK")
    assert ask(port, REGISTER.format("alice")).startswith("REGACK")
    first.signal(signal.SIGTERM)
    first.wait()
    early.close()
    between = socket.create_connection(("127.0.0.1", port), LIMIT)
    between.sendall(REGISTER.format("between").encode())
    activated(stage, listening)
    between.settimeout(LIMIT)
    assert between.recv(1024).startswith(b"REGACK")
    between.close()


def test_clients_reconnect_to_a_restarted_server(stage: Stage, listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    first = activated(stage, listening)
    alice = stage.open_client("alice", f"127.0.0.1:{port}")
    alice.event("registered")
    first.signal(signal.SIGTERM)
    first.wait()
    activated(stage, listening)
    alice.event("registered")


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="there is no systemd here"
)
def test_systemd_starts_the_server_on_a_connection(stage: Stage) -> None:
    port = free_port()
    home = stage.place("home")
    environment = dict(os.environ, HOME=str(home))
    server = [*TWISTD, "-n", "--pidfile=", "chatserver", "--store", "memory:", "--home", str(home)]
    passed = [f"-E{name}={value}" for name, value in environment.items() if name == "PYTHONPATH"]
    activate = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=port", *passed]
    index = HANDED.replace("INET6", "INET")
    program = Program([*activate, *server, "--port", index], stage.place("cwd"), [home])
    stage.programs.append(program)
    deadline = time.monotonic() + LIMIT
    while True:
        with contextlib.suppress(ConnectionRefusedError):  # it does not say when it listens
            assert ask(port, REGISTER.format("alice")).startswith("REGACK")
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    program.expect(re.compile(r"^Server listening on 127\.0\.0\.1:"))
