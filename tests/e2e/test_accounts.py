"""Accounts, with real programs: passwords right and wrong, a name taken over, keys let in."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pytest

from chatproto.identity.keys import new_identity
from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from chatproto.wire.classic import Sender
from chatproto.wire.strict import encode
from tests.e2e.harness import LIMIT, TWISTD, JsonClient, Stage
from tests.e2e.tls_wires import dial
from tests.long import LONG

PASSWORD = "correct horse battery"


def passwd(*words: str, typed: str = "") -> str:
    """Return the output of `chatserver passwd`."""
    command = [*TWISTD, "-n", "chatserver", "passwd", *words]
    ended = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def with_alice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A password file with alice in it, which nobody changes."""
    path = tmp_path_factory.mktemp("accounts") / "passwords"
    said = passwd("add", "alice", "--file", str(path), typed=f"{PASSWORD}\n")
    assert said == "account added: alice\n"
    return path


@pytest.fixture
def file(tmp_path: Path, with_alice: Path) -> Path:
    """A password file of a test's own with alice in it."""
    return Path(shutil.copy2(with_alice, tmp_path / "passwords"))


def person(
    stage: Stage, name: str, port: int, *options: str, home: Path | None = None
) -> JsonClient:
    """A client that is running; what the server says to it is to be seen."""
    where = ("--server", f"127.0.0.1:{port}", "--port", "tcp:0:interface=127.0.0.1")
    client: JsonClient = stage.start(
        "chatclient", "--id", name, *where, "--ui", "json", *options, kind=JsonClient, home=home
    )
    client.start()
    return client


def key_of(client: JsonClient) -> str:
    [key] = [event["key"] for event in client.events() if event["event"] == "running"]
    assert isinstance(key, str)
    return key


def with_password(stage: Stage, user: str, password: str) -> tuple[str, ...]:
    path = stage.place("secret") / "password"
    path.write_text(f"{password}\n")
    return ("--user", user, "--password-file", str(path))


def test_the_right_password_lets_in_and_another_does_not(stage: Stage, file: Path) -> None:
    server, port = stage.server("--auth", f"argon2:{file}", "--require", "login", "--trace")
    alice = person(stage, "alice", port, *with_password(stage, "alice", PASSWORD))
    alice.event("registered")
    for user, password in (("alice", "guess"), ("nobody", PASSWORD)):
        other = person(stage, "mallory", port, *with_password(stage, user, password))
        refused = other.event("error")
        assert (refused["status"], refused["command"]) == (403, "register")
        other.send_line("/quit")
        assert other.wait() == 0
        assert [event["event"] for event in other.events()].count("error") == 1
    server.expect(re.compile(r"LOGIN \| CSeq: 1 \| User: alice \| Content-Length: …$"))
    assert not [line for line in server.lines if PASSWORD in line or "guess" in line]


def test_client_without_account_is_refused_if_one_is_required(stage: Stage, file: Path) -> None:
    _, port = stage.server("--auth", f"argon2:{file}", "--require", "login")
    stranger = person(stage, "bob", port)
    refused = stranger.event("error")
    assert (refused["status"], "--user NAME" in refused["text"]) == (401, True)
    classic = stage.client("carol", port)
    classic.send_line("/register")
    assert classic.event("error")["status"] == 403


def test_client_without_account_is_accepted_if_none_is_required(stage: Stage, file: Path) -> None:
    _, port = stage.server("--auth", f"argon2:{file}")
    person(stage, "bob", port).event("registered")
    classic = stage.client("carol", port)
    classic.send_line("/register")
    classic.event("registered")


@LONG
def test_an_account_takes_its_name_over_with_a_new_key(stage: Stage, file: Path) -> None:
    _, port = stage.server("--auth", f"argon2:{file}")
    former = person(stage, "alice", port)
    former.event("registered")
    stranger = person(stage, "alice", port)
    assert stranger.event("error")["status"] == 409
    account = with_password(stage, "alice", PASSWORD)
    alice = person(stage, "alice", port, *account)
    alice.event("registered")
    former.event("error", code="replaced")
    bob = person(stage, "bob", port)
    bob.event("registered")
    bob.send_line("/bridge alice")
    assert bob.event("bridged", id="alice")["key"] == key_of(alice) != key_of(former)


@LONG
def test_three_wrong_passwords_are_enough_for_a_minute(stage: Stage, file: Path) -> None:
    _, port = stage.server("--auth", f"argon2:{file}")
    identity = new_identity()
    read = StrictReceiver(Sender.SERVER)
    with dial(port, stage.folder, identity) as wire:
        for number in range(1, 6):
            wire.sendall(
                encode(bcp2_server.Login(number, "alice", "wrong" if number < 5 else PASSWORD))
            )
        got: list[object] = []
        while len(got) < 5:
            got += read.read(wire.recv(65536))
    assert got[:3] == [Error(403, 1), Error(403, 2), Error(403, 3)]
    for number, answer in enumerate(got[3:], 4):
        assert isinstance(answer, Error)
        assert (answer.status, answer.cseq) == (429, number)
        assert answer.retry_after is not None and 0 < answer.retry_after <= 60
    alice = person(stage, "alice", port, *with_password(stage, "alice", PASSWORD))
    limited = alice.event("notice", code="rate-limited")
    assert re.search("in [0-9]+ s", limited["text"])


def test_accounts_change_without_a_restart(stage: Stage, file: Path) -> None:
    _, port = stage.server("--auth", f"argon2:{file}", "--require", "login")
    passwd("add", "bob", "--file", str(file), typed="builder")
    person(stage, "bob", port, *with_password(stage, "bob", "builder")).event("registered")
    passwd("remove", "alice", "--file", str(file))
    alice = person(stage, "alice", port, *with_password(stage, "alice", PASSWORD))
    assert alice.event("error")["status"] == 403


@LONG
def test_only_the_keys_in_the_file_are_let_in(stage: Stage, tmp_path: Path) -> None:
    allowed = tmp_path / "keys"
    home = stage.place("alice-home")
    first = person(stage, "alice", 9, home=home)
    allowed.write_text(f"# us\n{key_of(first)}  # alice\n")
    first.send_line("/quit")
    assert first.wait() == 0
    server, port = stage.server("--allow-keys", str(allowed))
    alice = person(stage, "alice", port, home=home)
    alice.event("registered")
    stranger = person(stage, "bob", port)
    assert stranger.event("error")["status"] == 403
    classic = stage.client("carol", port)
    classic.send_line("/register")
    assert classic.event("error")["status"] == 403
    allowed.write_text("# nobody\n")
    assert alice.event("error")["status"] == 403
    assert server.running


def test_the_terminal_asks_for_the_password_and_does_not_show_it(stage: Stage, file: Path) -> None:
    _, port = stage.server("--auth", f"argon2:{file}", "--require", "login")
    where = ["--server", f"127.0.0.1:{port}", "--port", "tcp:0:interface=127.0.0.1"]
    home = ["--home", str(stage.place("home")), "--id", "alice", "--user", "alice"]
    shown = io.StringIO()
    command = [*TWISTD, "-n", "chatclient", *home, *where, "--ui", "plain"]
    with pexpect.spawn(command[0], command[1:], timeout=LIMIT, encoding="utf-8") as client:
        client.logfile_read = shown
        client.expect_exact("Password of alice: ")
        client.sendline("not this one")
        client.expect_exact("unknown user or wrong password")
        client.expect_exact("type the password of alice again")
        client.sendline(PASSWORD)
        client.expect_exact("* registered with ")
        client.sendline("/quit")
        client.expect(pexpect.EOF)
    assert client.exitstatus == 0
    assert PASSWORD not in shown.getvalue()
    assert "not this one" not in shown.getvalue()


@LONG
def test_password_can_come_from_the_environment(
    stage: Stage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, port = stage.server("--auth", f"argon2:{file}", "--require", "login")
    monkeypatch.setenv("CHATPROTO_PASSWORD", PASSWORD)
    person(stage, "alice", port, "--user", "alice").event("registered")


def test_server_without_accounts_does_not_load_their_modules(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from chatproto.cli.server_options import ServerOptions\n"
        f"ServerOptions().parseOptions(['--home', {str(tmp_path)!r}])\n"
        "print(sorted({'argon2', 'chatproto.accounts.logins'} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "[]\n", ended.stderr
