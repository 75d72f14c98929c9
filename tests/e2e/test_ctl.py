"""`chatserver ctl` and a server in the background."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, Stage
from tests.e2e.program import WITHOUT_TERMINAL

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
    home.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "ctl.sock"))  # as of a server that was killed
    accounts = home / "accounts"
    accounts.touch()
    group = os.getgroups()[-1] if os.getgroups() else os.getgid()
    server, port = stage.server(
        "--auth",
        f"argon2:{accounts}",
        "--ctl-group",
        str(group),
        home=home,
        before=WITHOUT_TERMINAL,
    )
    server.end_input()
    found = (home / "ctl.sock").stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o660
    assert (found.st_gid, home.stat().st_gid) == (group, group)
    assert stat.S_IMODE(home.stat().st_mode) == 0o710
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
        assert ctl(home, "reload") == (0, [f"* read again: {accounts}"])
        log = home / "chatserver.log"
        before = log.read_text().count("read again")
        server.signal(signal.SIGHUP)
        deadline = time.monotonic() + LIMIT
        while log.read_text().count("read again") == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a file says nothing when it grows
        accounts.unlink()
        assert ctl(home, "reload")[0] == 3
        code, lines = ctl(home, "drain")
        assert code == 0 and "open now: 1;" in lines[0]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), LIMIT)
        client.sendall(REGISTER)  # who is there is served
        assert ctl(home, "info") == (0, ["alice 127.0.0.1:3000"])
        assert ctl(home, "--json", "/quit") == (0, ['{"done": true, "code": "ok"}'])
        assert other.recv(1) == b""
    assert server.wait() == 0
    assert not (home / "ctl.sock").exists()
    assert ctl(home, "info") == (2, [])
