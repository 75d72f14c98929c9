"""Standard streams that are closed, full, or that nobody reads: a line or nothing, never a traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, Stage
from tests.long import some

RUN = "import sys; from chatproto.cli.main import chatclient; sys.argv[0] = 'chatclient'; chatclient()"


@pytest.fixture(scope="module")
def port(shared_stage: Stage) -> int:
    """The port of a server that all tests here share."""
    return shared_stage.server()[1]


def shell(command: str, home: Path) -> tuple[int, str, str]:
    """`chatclient` as a shell runs it with these redirections: exit code, output, errors."""
    line = f'exec "$0" -c "$1" {command}'.replace("HOME", '"$2"')
    arguments = ["sh", "-c", line, sys.executable, RUN, str(home)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=2 * LIMIT, check=False)
    assert "Traceback" not in done.stdout + done.stderr, done
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "says"),
    some(
        2,
        [
            ("send bob <&-", 1, "standard input is closed"),
            ("info >/dev/full", 5, "could not be written"),
            ("doctor >/dev/full", 5, "cannot write the output: No space left on device"),
            ("info --user eve <&-", 1, "--user needs a password"),
            ("info 2>&-", 0, ""),
            ("info >&-", 0, ""),
        ],
    ),
)
def test_one_shot_command_reports_a_missing_stream_in_one_line(
    port: int, tmp_path: Path, command: str, code: int, says: str
) -> None:
    with socket.create_connection(("127.0.0.1", port), LIMIT) as connection:
        connection.sendall(b"REGISTER\r\nclientID: eve\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        assert connection.recv(1024).startswith(b"REGACK")
    name, blank, rest = command.partition(" ")
    where = f"{name} --id eve --home HOME --server 127.0.0.1:{port}{blank}{rest}"
    found, output, errors = shell(where, tmp_path / "home")
    assert found == code, errors
    assert len(errors.splitlines()) == (1 if says else 0) and says in errors
    assert output.startswith("eve ") if "2>&-" in command else not output


def test_client_without_input_asks_for_no_password(tmp_path: Path) -> None:
    code, _, errors = shell("--id eve --user eve --home HOME <&-", tmp_path)
    assert code == 1 and "--user needs a password" in errors


@pytest.mark.parametrize("command", some(1, ["--help", "send --help", "doctor --help"]))
def test_help_that_finds_no_room_is_one_line(tmp_path: Path, command: str) -> None:
    code, _, errors = shell(f"{command} >/dev/full", tmp_path)
    assert code == 1 and len(errors.splitlines()) == 1 and "No space left" in errors, errors
