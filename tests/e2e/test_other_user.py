"""A server of a user of its own, as a unit starts it: what root hands over, and what systemd hears."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproto.identity.keys import open_identity
from tests.e2e.harness import LIMIT, Program, Stage
from tests.e2e.program import WITHOUT_TERMINAL
from tests.e2e.test_accounts import PASSWORD, passwd
from tests.e2e.test_ctl import SCRIPT

CLIENT = "from chatproto.cli.main import chatclient; chatclient()"
USER = 65534
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


def may_run() -> bool:
    """Return True if we are root and that user can start our Python."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    start = [*AS_USER, "env", sys.executable, "-c", "import chatproto.cli.server_program"]
    return subprocess.run(start, capture_output=True, timeout=LIMIT).returncode == 0


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder of that user, which it can reach."""
    folder = Path(tempfile.mkdtemp(prefix="chatproto-"))
    folder.chmod(0o755)
    home = folder / "state"
    home.mkdir(mode=0o700)
    os.chown(home, USER, USER)
    yield home
    shutil.rmtree(folder)


@pytest.mark.skipif(not may_run(), reason="needs root, setpriv and a Python that all may start")
def test_unprivileged_server_uses_files_and_sockets_of_root(stage: Stage, state: Path) -> None:
    accounts, credentials = state / "passwords", state.parent / "credentials"
    passwd("add", "alice", "--file", str(accounts), typed=f"{PASSWORD}\n")
    credentials.mkdir(mode=0o755)
    key = open_identity(credentials).name
    (credentials / "keys").write_text(f"{open_identity(stage.place('alice')).name}\n")
    for name in (
        "key.pem",
        "keys",
    ):  # as systemd has them: root's, the group bits are an access list
        os.chown(credentials / name, 0, USER)
        (credentials / name).chmod(0o440)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(state.parent / "notify"))
        (state.parent / "notify").chmod(0o666)
        systemd.settimeout(LIMIT)
        handed = [f"NOTIFY_SOCKET={state.parent}/notify", f"CREDENTIALS_DIRECTORY={credentials}"]
        command = [
            *(*WITHOUT_TERMINAL, *AS_USER, "env", *handed, *SCRIPT),
            *("--home", str(state), "--port", "tcp:0:interface=127.0.0.1"),
            *("--auth", f"argon2:{accounts}", "--require", "login"),
            *("--key", "$CREDENTIALS_DIRECTORY/key.pem"),
            *("--allow-keys", "${CREDENTIALS_DIRECTORY}/keys"),
        ]
        server = Program(command, state, [state])
        stage.programs.append(server)
        port = server.expect(re.compile(r"^Server listening on 127\.0\.0\.1:(\d+)$"))[1]
        server.expect(f"* for clients on this machine only: --server 127.0.0.1:{port}/{key}")
        assert systemd.recv(1000).splitlines()[0] == b"READY=1"
        typed = stage.folder / "typed"
        typed.write_text(PASSWORD)
        typed.chmod(0o600)
        account = ("--user", "alice", "--password-file", str(typed))
        home = stage.folder / "alice"
        where = ("--id", "alice", "--server", f"127.0.0.1:{port}/{key}", "--home", str(home))
        info = [sys.executable, "-c", CLIENT, "info", *where, *account]
        listed = subprocess.run(info, capture_output=True, text=True, timeout=LIMIT)
        assert listed.returncode == 0, listed.stderr
        passwd("add", "bob", "--file", str(accounts), typed=f"{PASSWORD}\n")  # it can read that too
        server.signal(signal.SIGHUP)
        states = [systemd.recv(1000).splitlines()[0] for _ in range(2)]
        assert states == [b"RELOADING=1", b"READY=1"]
        assert "previous content" not in (state / "chatserver.log").read_text()
        server.signal(signal.SIGTERM)
        assert systemd.recv(1000).splitlines()[0] == b"STOPPING=1"
        assert server.wait() == -signal.SIGTERM
    assert accounts.stat().st_uid == USER
