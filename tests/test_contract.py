"""Test the contract that the users have fixed, which holds through every rebuild.

Real programs only; nothing here imports the package. The contract: the files at the top level, both
programs under `twistd -n` and `twist` on three reactors, on pipes and on a pty, the walks of the course
assignment with its lines byte for byte, the homes and stores of commit f9d4db7, and its programs together
with the present ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import TWISTD, JsonClient, Program, Stage, staged

ROOT = Path(__file__).parent.parent
OLD_COMMIT = "f9d4db7"
REQUIRED = "CHATPROTO_TEST_OLD_COMMIT"
"""Set by `.ci/run`: the tests that need the old commit fail where they would be skipped."""
OLD_HOMES = Path(__file__).parent / "old"
OLD_SERVER = "127.0.0.1:25555"
"""Address under which the old homes know their server."""
MADE = 1795979596.0
"""Seconds since the epoch at which the old homes were made."""
TWIST = [
    sys.executable,
    "-c",
    "import sys; from twisted.application.twist._twist import Twist; Twist.main()",
]
LOOPBACK = "tcp:0:interface=127.0.0.1"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as fresh:
        yield fresh


# What lies where.


@pytest.mark.parametrize(
    "path", ["twisted/plugins", "chatproto", "tests", "setup.cfg", "README.md", "LICENSE"]
)
def test_top_level_is_as_the_users_fixed_it(path: str) -> None:
    assert (ROOT / path).exists()


def test_plugin_folder_is_no_package() -> None:
    assert not list((ROOT / "twisted").rglob("__init__.py"))


# Two programs, as they are started.


def start(stage: Stage, launcher: list[str], plugin: str, *options: str, terminal: bool) -> Program:
    """`launcher` plugin options, in folders of its own."""
    home, folder = stage.place(f"{plugin}-home"), stage.place(f"{plugin}-cwd")
    command = [*launcher, plugin, "--home", str(home), *options]
    program = Program(command, folder, [home], terminal)
    stage.programs.append(program)
    return program


LAUNCHERS = {
    "twistd, epoll, pty": ([*TWISTD, "-n", "-r", "epoll"], True),
    "twistd, select, pipe": ([*TWISTD, "-n", "-r", "select"], False),
    "twistd, asyncio, pty": ([*TWISTD, "-n", "-r", "asyncio"], True),
    "twist, pipe": (TWIST, False),
}


@pytest.mark.parametrize("how", LAUNCHERS)
def test_programs_start_talk_and_end_under_every_launcher(how: str, stage: Stage) -> None:
    launcher, terminal = LAUNCHERS[how]
    server = start(stage, launcher, "chatserver", "--port", LOOPBACK, terminal=terminal)
    port = server.expect(re.compile(r"^Server listening on 127\.0\.0\.1:(\d+)$"))[1]

    def client(name: str) -> Program:
        options = ("--id", name, "--server", f"127.0.0.1:{port}", "--answer", "all")
        made = start(stage, launcher, "chatclient", "--port", LOOPBACK, *options, terminal=terminal)
        made.expect(re.compile(rf"{name} running on 127\.0\.0\.1:\d+$"))
        made.expect(re.compile(r"\* registered with "))
        return made

    alice, bob = client("alice"), client("bob")
    alice.send_line("/chat bob")
    alice.expect(re.compile(r"\* talking with bob"))
    alice.send_line("hello bob")
    bob.expect(re.compile(r"alice> hello bob$"))
    bob.send_line("hello alice")
    alice.expect(re.compile(r"bob> hello alice$"))
    # On a terminal, a command right behind a text would be asked about as a paste: type Ctrl-D instead.
    quit_ = b"\x04" if terminal else b"/quit\n"
    alice.send(quit_)
    bob.expect("* alice left")
    server.send_line("/quit")
    bob.send(quit_)
    if not terminal:
        alice.send(quit_)
    for program in (alice, bob, server):
        assert program.wait() == 0, program.transcript()


def test_plugins_start_with_the_documented_words_only(stage: Stage) -> None:
    """`twistd -n chatclient` alone: id from the login name, any free port, no server yet."""
    client: Program = stage.start("chatclient")
    client.expect(re.compile(r"^[A-Za-z0-9._-]+ running on \S+:\d+$"))
    client.end_input()
    assert client.wait() == 0


# The walks of the course assignment.


def test_walk_of_the_course_assignment(stage: Stage) -> None:
    server: Program = stage.start("chatserver", "--port", LOOPBACK)
    port = server.expect(re.compile(r"^Server listening on 127\.0\.0\.1:(\d+)$"))[1]

    def client(name: str) -> tuple[Program, str]:
        options = ("--plain", "--id", name, "--port", LOOPBACK, "--server", f"127.0.0.1:{port}")
        made = stage.start("chatclient", *options)
        return made, made.expect(re.compile(rf"^{name} running on (127\.0\.0\.1:\d+)$"))[1]

    def say(program: Program, line: str) -> None:
        ending = "\r\n" if program is bob else "\n"  # both are line ends
        program.send((line + ending).encode())

    alice, alice_at = client("alice")
    bob, bob_at = client("bob")
    say(alice, "/id")
    alice.expect("alice")
    for program, name, address in ((alice, "alice", alice_at), (bob, "bob", bob_at)):
        say(program, "/register")
        program.expect(f"* registered with 127.0.0.1:{port}")
        server.expect(f"REGISTER: {name} from {address} received")
    say(alice, "/info")
    alice.expect(f"* alice {alice_at}")
    alice.expect(f"* bob {bob_at}")
    server.send_line("/info")
    server.expect(f"alice {alice_at}")
    server.expect(f"bob {bob_at}")
    say(alice, "/bridge")
    server.expect(f"BRIDGE: alice {alice_at} bob {bob_at}")
    say(alice, "/chat")
    bob.expect(f"Incoming chat request from alice {alice_at}")
    alice.expect(re.compile(r"^\* talking with bob"))
    say(alice, "/msg Hello Bob!")
    bob.expect("alice> Hello Bob!")
    say(bob, "hello alice")
    alice.expect("bob> hello alice")
    say(alice, "your turn")
    bob.expect("alice> your turn")
    say(bob, "/quit")
    assert bob.wait() == 0
    alice.expect("* bob left")
    if alice.running:  # a program may end with its only conversation, as the assignment has it
        alice.end_input()
    assert alice.wait() == 0
    server.send_line("/quit")
    assert server.wait() == 0


def test_chat_by_address_as_a_seed_has_it(stage: Stage) -> None:
    options = ("--plain", "--port", LOOPBACK, "--server", "none")
    bob: Program = stage.start("chatclient", "--id", "bob", *options)
    where = bob.expect(re.compile(r"^bob running on (127\.0\.0\.1:\d+)$"))[1]
    alice: Program = stage.start("chatclient", "--id", "alice", *options)
    alice.send_line(f"/chat {where}")
    alice.send_line("/msg Hello Bob!")
    bob.expect(re.compile(r"^Incoming chat request from alice 127\.0\.0\.1:\d+$"))
    bob.expect("alice> Hello Bob!")


# Homes and stores of the old commit.


def bring_to_now(path: Path) -> None:
    """Move every time in a store of the old homes, so that it was written a moment ago."""
    late = time.time() - MADE - 60
    store = sqlite3.connect(path)
    names = [
        name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    for table in names:
        columns = {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
        for column in columns & {"at", "used", "heard", "until"}:
            store.execute(f"UPDATE {table} SET {column} = {column} + ?", (late,))
    if "rooms" in names:
        for name, kept in store.execute("SELECT name, kept FROM rooms").fetchall():
            room = json.loads(kept)
            room["used"] += late
            store.execute("UPDATE rooms SET kept = ? WHERE name = ?", (json.dumps(room), name))
    store.commit()
    store.close()


def old_home(stage: Stage, name: str, server: str = "") -> Path:
    """A copy of an old home; `server` is where its server is now."""
    home = stage.place(f"{name}-home")
    home.chmod(0o700)
    for source in (OLD_HOMES / name).iterdir():
        copy = Path(shutil.copyfile(source, home / source.name))
        copy.chmod(0o600)
        if copy.suffix == ".sqlite":
            bring_to_now(copy)
        if copy.name == "known_peers":
            copy.write_text(copy.read_text().replace(OLD_SERVER, server))
    return home


def keyed_client(stage: Stage, name: str, port: int, home: Path, *options: str) -> JsonClient:
    arguments = ("--id", name, "--port", LOOPBACK, "--server", f"127.0.0.1:{port}", "--ui", "json")
    client: JsonClient = stage.start(
        "chatclient", *arguments, "--answer", "known", *options, kind=JsonClient, home=home
    )
    client.start()
    return client


def test_homes_and_store_of_the_old_commit_open_and_lose_nothing(stage: Stage) -> None:
    _, port = stage.server(home=old_home(stage, "server"))
    where = f"127.0.0.1:{port}"
    alice = keyed_client(stage, "alice", port, old_home(stage, "alice", where))
    # The pins are known: neither the server nor bob is a first contact.
    assert not alice.event("registered").get("first")
    alice.send_line("/search hello")
    assert alice.event("answer", command="search")["count"] == 2
    alice.event("message", text="hello bob", history=True)
    alice.event("message", text="hello alice", history=True)
    alice.send_line("/join tea")
    assert alice.event("room", change="joined", own=True)["role"] == "owner"
    alice.send_line("/history 5")
    alice.event("message", room="#tea", text="tea is ready")
    # The message that waited goes to bob, whose pin of alice lets it in without a question.
    bob = keyed_client(stage, "bob", port, old_home(stage, "bob", where))
    assert bob.event("message", text="this waited")["from"] == "alice"
    alice.event("delivered", to="bob", id=2)
    assert alice.event("session", id="bob", security="verified")
    # The id of alice belongs to her key still.
    thief = stage.place("thief-home")
    client = keyed_client(stage, "alice", port, thief)
    client.event("error", status=409)


# Programs of the old commit beside the present ones.


@pytest.fixture(scope="module")
def old_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it was at the old commit."""
    folder = tmp_path_factory.mktemp("old")
    archive = subprocess.run(
        ["git", "archive", OLD_COMMIT, "chatproto", "twisted"], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        assert not os.environ.get(REQUIRED), f"the gate wants the history with {OLD_COMMIT}"
        pytest.skip(f"no history with commit {OLD_COMMIT} here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def old_program(source: Path) -> list[str]:
    """A command that runs the rest of its line with the old package."""
    return ["env", f"PYTHONPATH={source}"]


def test_old_program_is_the_old_one(old_source: Path, tmp_path: Path) -> None:
    code = "import chatproto; print(list(chatproto.__path__)[0])"
    run = [*old_program(old_source), sys.executable, "-c", code]
    found = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(old_source / "chatproto")


@pytest.mark.parametrize("old", ["server", "alice", "bob", "both clients"])
def test_old_and_new_programs_talk_with_each_other(
    old: str, old_source: Path, stage: Stage
) -> None:
    def before(who: str) -> list[str]:
        return old_program(old_source) if who == old or (who != "server" and " " in old) else []

    _, port = stage.server(before=before("server"))

    def client(name: str) -> JsonClient:
        arguments: tuple[Any, ...] = ("--id", name, "--port", LOOPBACK, "--ui", "json")
        made: JsonClient = stage.start(
            "chatclient", *arguments, "--server", f"127.0.0.1:{port}", "--answer", "all",
            "--accept", "known", "--downloads", str(stage.place("downloads")),
            kind=JsonClient, before=before(name),
        )  # fmt: skip
        made.start()
        made.event("registered")
        return made

    alice, bob = client("alice"), client("bob")
    alice.send_line("/chat bob")
    assert alice.event("session", id="bob", state="open")["encrypted"]
    alice.send_line("hello bob")
    assert bob.event("message", text="hello bob")["from"] == "alice"
    alice.event("delivered", to="bob", id=1)
    if not before("alice"):  # which the old one does not know
        alice.send_line("/me waves")
        waved = bob.event("message", text="waves")
        assert waved.get("kind") == (None if before("bob") else "action")
    bob.send_line("hello alice")
    assert alice.event("message", text="hello alice")["from"] == "bob"
    path = stage.place("files") / "notes.txt"
    path.write_text("a file that both know how to carry\n" * 1000)
    alice.send_line(f"/send {path}")
    alice.event("file", state="done", to="bob")
    taken = Path(bob.event("file", state="done", from_="alice")["path"])
    assert taken.read_text() == path.read_text()
    for program in (alice, bob):
        program.send_line("/join tea")
        program.event("room", change="joined", own=True)
    bob.send_line("tea is ready")
    assert alice.event("message", room="#tea", text="tea is ready")["from"] == "bob"
    if not before("bob"):
        bob.send_line("/me pours")
        poured = alice.event("message", room="#tea", text="pours")
        assert poured.get("kind") == (None if old in ("server", "alice") else "action")
    alice.send_line("/part")
    alice.event("room", change="parted", own=True)
