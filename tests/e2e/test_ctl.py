"""`chatserver ctl` and a server in the background."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import LIMIT, Stage

SCRIPT = [sys.executable, "-c", "from chatproto.cli.main import chatserver; chatserver()"]
REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"


def ctl(home: Path, *words: str, typed: str = "") -> tuple[int, list[str]]:
    """The exit code of a `chatserver ctl`, and the lines it printed."""
    ended = subprocess.run(
        [*SCRIPT, "ctl", "--home", str(home), *words],
        input=typed,
        env=dict(os.environ, HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, ended.stdout.splitlines()


def test_an_operator_moderates_a_server_in_the_background(stage: Stage) -> None:
    home = stage.place("home")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "ctl.sock"))  # as of a server that was killed
    server, port = stage.server(home=home)
    server.end_input()
    mode = (home / "ctl.sock").stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    with (
        socket.create_connection(("127.0.0.1", port), LIMIT) as client,
        socket.socket(socket.AF_UNIX) as other,
    ):
        other.connect(str(home / "ctl.sock"))  # another ctl, which says nothing
        client.sendall(REGISTER)
        server.expect(re.compile("^REGISTER: alice from"))
        assert ctl(home, "/info") == (0, ["alice 127.0.0.1:3000"])
        code, lines = ctl(home, "--json", "kick", "alice")
        assert (code, [json.loads(line) for line in lines][1:]) == (
            0,
            [{"done": True, "code": "ok"}],
        )
        assert ctl(home, "kick", "alice")[0] == 3
        assert ctl(home, "/inof")[0] == 1
        typed = "/rooms\n\n/ban alice\n/info\n"
        code, lines = ctl(home, typed=typed)
        assert (code, lines[0], lines[-1]) == (
            1,
            "* there are no rooms",
            "* no clients are registered",
        )
        assert ctl(home, "--json", "/quit") == (0, ['{"done": true, "code": "ok"}'])
        assert other.recv(1) == b""
    assert server.wait() == 0
    assert not (home / "ctl.sock").exists()
    assert ctl(home, "info") == (2, [])
