"""`chatclient doctor` against a server, a dead one, one with another key, and beside a running client."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import JsonClient, Program, Stage, free_port
from tests.e2e.scripts import CHATCLIENT, LOOPBACK
from tests.e2e.test_accounts import passwd
from tests.long import LONG, some

KEY = "sha256:" + "A" * 52
QUIET = ("--port", LOOPBACK, "--ui", "json")


class Doctor:
    """The command, and what it found."""

    def __init__(self, stage: Stage, *options: str, home: Path | None = None) -> None:
        self.home = home or stage.place("doctor-home")
        line = [*CHATCLIENT, "doctor", "--id", "alice", "--home", str(self.home), *options]
        self.program = Program(line, stage.place("cwd"), [self.home])
        stage.programs.append(self.program)
        self.program.end_input()
        self.code = self.program.wait()
        assert not self.program.errors.lines, self.program.transcript()
        self.lines = self.program.output.lines
        told: list[dict[str, Any]] = [json.loads(one) for one in self.lines if one[:1] == "{"]
        self.found = {one["check"]: one for one in told if one["event"] == "answer"}

    def states(self, *checks: str) -> list[str]:
        return [self.found[check]["state"] for check in checks]


ASKED = ("server", "key", "address", "calls", "clock")


def test_healthy_server_has_no_failure(stage: Stage) -> None:
    server, port = stage.server()
    shown = server.expect(re.compile(r"^\* for clients.*: --server \S+/(sha256:\S+)$"))[1]
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}/{shown}", "--json")
    assert doctor.code == 0
    assert doctor.states("home", *ASKED) == ["note", "ok", "ok", "ok", "note", "ok"]
    assert doctor.found["key"]["key"] == shown
    assert doctor.found["address"]["observed"].startswith("127.0.0.1:")
    assert abs(doctor.found["clock"]["offset"]) < 5
    assert "beacon" in doctor.found
    assert not list(doctor.home.iterdir())  # it leaves nothing there
    assert not any("REGISTER" in line for line in server.output.lines)


def test_missing_server_comes_with_advice(stage: Stage) -> None:
    doctor = Doctor(stage, "--server", f"127.0.0.1:{free_port()}")
    assert doctor.code == 5
    said = "\n".join(doctor.lines)
    assert "fail  server: no server at 127.0.0.1:" in said
    assert "-> start the server, or check host and port in --server" in said
    assert "skip  clock: not checked" in said


@LONG
def test_announced_address_is_named_but_not_confirmed(stage: Stage) -> None:
    _, port = stage.server()
    announced = ("--announce", "192.0.2.9:5000", "--announce", "[2001:db8::9]:5000")
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}", *announced, "--json")
    assert doctor.code == 0
    assert "192.0.2.9:5000, [2001:db8::9]:5000" in doctor.found["calls"]["text"]
    assert "was not tested" in doctor.found["calls"]["text"]


def test_server_with_another_key_gets_no_request(stage: Stage) -> None:
    _, port = stage.server()
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}/{KEY}", "--json")
    assert doctor.code == 3
    assert doctor.states(*ASKED) == ["ok", "fail", "skip", "skip", "skip"]
    assert "not the one that --server names" in doctor.found["key"]["text"]
    assert doctor.found["key"]["code"] == "other-key"

    home = stage.place("known-home")
    (home / "known_peers").write_text(f"server 127.0.0.1:{port} {KEY}\n")
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}", "--json", home=home)
    assert doctor.code == 3
    assert "has changed" in doctor.found["key"]["text"]
    assert "known_peers, line 1" in doctor.found["key"]["text"]


@LONG
def test_other_kind_of_server_is_named(stage: Stage) -> None:
    alice = stage.client("carol")  # speaks plain text only
    doctor = Doctor(stage, "--server", f"127.0.0.1:{alice.port}", "--json")
    assert doctor.code == 5
    assert doctor.states("server", "key") == ["ok", "fail"]
    assert "code" not in doctor.found["server"] and doctor.found["key"]["code"]


def test_server_with_allow_keys_shows_the_key_to_add(stage: Stage) -> None:
    allowed = stage.place("keys") / "allowed"
    allowed.write_text(f"{KEY}\n")
    _, port = stage.server("--allow-keys", str(allowed))
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}", "--json")
    assert doctor.code == 3
    assert doctor.found["address"]["code"] == "refused"
    assert "does not admit your key" in doctor.found["address"]["text"]
    # Without a key in the home it has asked with one that is thrown away.
    assert "sha256:" not in doctor.found["address"]["advice"]

    alice = stage.start("chatclient", *QUIET, kind=JsonClient, home=doctor.home)
    alice.start()
    alice.end_input()
    alice.wait()
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}", "--json", home=doctor.home)
    assert doctor.found["home"]["key"] in doctor.found["address"]["advice"]


def test_server_with_accounts_is_tried_with_a_login(stage: Stage) -> None:
    file = stage.place("accounts") / "passwords"
    passwd("add", "alice", "--file", str(file), typed="sesame")
    _, port = stage.server("--auth", f"argon2:{file}", "--require", "login")
    where = ("--server", f"127.0.0.1:{port}", "--json")
    doctor = Doctor(stage, *where)
    assert doctor.code == 3
    assert doctor.found["account"]["code"] == "not-registered"
    assert "log in with --user NAME" in doctor.found["account"]["text"]

    secret = stage.place("secret") / "password"
    secret.touch(0o600)
    secret.write_text("simsim\n")
    user = ("--user", "alice", "--password-file", str(secret))
    doctor = Doctor(stage, *where, *user)
    assert doctor.code == 3
    assert doctor.found["account"]["code"] == "login-refused"

    secret.write_text("sesame\n")
    doctor = Doctor(stage, *where, *user)
    assert doctor.code == 0
    assert doctor.found["account"]["state"] == "ok"

    secret.unlink()
    doctor = Doctor(stage, *where, *user)
    assert doctor.code == 5
    assert str(secret) in doctor.found["account"]["text"]


def test_an_id_of_another_key_is_named(stage: Stage) -> None:
    _, port = stage.server()
    options = ("--id", "alice", "--server", f"127.0.0.1:{port}", *QUIET)
    alice = stage.start("chatclient", *options, kind=JsonClient, home=stage.place("hers"))
    alice.start()
    alice.event("registered")
    doctor = Doctor(stage, "--server", f"127.0.0.1:{port}", "--json")
    assert doctor.code == 3
    assert doctor.found["id"]["code"] == "id-taken"
    assert "alice is registered with the key sha256:" in doctor.found["id"]["text"]


@LONG
def test_running_client_with_the_same_home_continues(stage: Stage) -> None:
    _, port = stage.server()
    home = stage.place("alice-home")
    where = f"127.0.0.1:{port}"
    options = ("--id", "alice", "--server", where, "--port", LOOPBACK, "--ui", "json")
    alice: JsonClient = stage.start("chatclient", *options, kind=JsonClient, home=home)
    alice.start()
    alice.event("registered")
    doctor = Doctor(stage, "--server", where, "--json", "--port", f"tcp:{alice.port}", home=home)
    assert doctor.code == 0
    assert doctor.states("home", "key", "port") == ["ok", "ok", "note"]
    alice.send_line("/status")
    assert doctor.found["home"]["key"] == alice.event("answer", command="status")["key"]
    alice.send_line("/info")
    listed = alice.event("contacts")["list"]
    assert [one["id"] for one in listed] == ["alice"]
    assert not [one for one in alice.events() if one["event"] in ("error", "notice")]


@pytest.mark.parametrize(
    ("options", "sentence"),
    some(
        1,
        [
            (["--plain"], "--plain"),
            (["bob"], "unknown argument 'bob'"),
            (["--server", "nonsense"], "host:port"),
        ],
    ),
)
def test_a_wrong_option_is_one_line(stage: Stage, options: list[str], sentence: str) -> None:
    program = Program([*CHATCLIENT, "doctor", *options], stage.place("cwd"))
    stage.programs.append(program)
    assert program.wait() == 1
    (line,) = program.errors.lines
    assert line.startswith("chatclient doctor: ")
    assert sentence in line


def test_reader_that_stops_early_does_not_block_it(stage: Stage) -> None:
    """As `chatclient doctor | head -1` does."""
    home = stage.place("home")
    shell = f"{' '.join(map(repr, CHATCLIENT))} doctor --server none --home {home} | head -1"
    program = Program(["sh", "-c", shell], stage.place("cwd"), [home])
    stage.programs.append(program)
    assert program.wait() == 0
    assert program.output.lines[0].startswith("note  home: ")
    assert not program.errors.lines, program.transcript()
