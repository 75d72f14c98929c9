"""A store that cannot be used, at the start and while the server runs."""

from __future__ import annotations

import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, TWISTD, Program, Stage, free_port
from tests.e2e.test_server_process import REGISTER, SCRIPT, ask, run
from tests.long import some

PORT = ("--port", "tcp:0:interface=127.0.0.1")


def newer(home: Path) -> None:
    store = sqlite3.connect(home / "server.sqlite")
    store.execute("PRAGMA user_version = 1000")
    store.close()


def damaged(home: Path) -> None:
    with (home / "server.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 3)


def no_database(home: Path) -> None:
    (home / "server.sqlite").write_text("Dear diary,\n" * 100)


def another_key(home: Path) -> None:
    (home / "key.pem").unlink()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    some(
        1,
        [
            (another_key, "belongs to the server with the key sha256:"),
            (newer, "a newer chatserver wrote it"),
            (damaged, "is damaged"),
            (no_database, "not an SQLite file"),
        ],
    ),
)
def test_one_that_cannot_be_used_is_one_line_and_code_2(
    stage: Stage, tmp_path: Path, spoil: Callable[[Path], None], complaint: str
) -> None:
    home = stage.place("home")
    server, _ = stage.server(home=home)
    server.end()
    spoil(home)
    ended = run(tmp_path, "--home", str(home), *PORT)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert complaint in ended.stderr


def test_belongs_to_one_server(stage: Stage, tmp_path: Path) -> None:
    home = stage.place("home")
    _, port = stage.server(home=home)
    ended = run(tmp_path, "--home", str(home), *PORT)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "another chatserver uses" in ended.stderr
    assert "registered" in ask(port, REGISTER.format("alice"))


def test_is_backed_up_while_the_server_runs(stage: Stage, tmp_path: Path) -> None:
    home, copy = stage.place("home"), stage.place("copy")
    _, port = stage.server(home=home)
    ask(port, REGISTER.format("alice"))
    backup = ("backup", str(copy / "server.sqlite"), "--home", str(home))
    ended = run(tmp_path, *backup, command=(*SCRIPT,))
    assert (ended.returncode, ended.stderr) == (0, "")
    (copy / "key.pem").write_bytes((home / "key.pem").read_bytes())
    second, _ = stage.server(home=copy)
    second.send_line("/info")
    second.expect("alice 127.0.0.1:3000")


def test_full_disk_refuses_new_clients_with_503_and_loses_none(stage: Stage) -> None:
    home, port = stage.place("home"), free_port()
    options = ["--home", str(home), "--port", f"tcp:{port}:interface=127.0.0.1", "--quiet"]
    full = ["sh", "-c", 'ulimit -f 256; exec "$@"', "sh", *TWISTD, "-n", "chatserver", *options]
    server = Program(full, stage.place("cwd"), [home])
    stage.programs.append(server)
    server.send_line("/nonsense")
    server.expect(re.compile("unknown command /nonsense"))
    kept = []
    with socket.create_connection(("127.0.0.1", port), LIMIT) as connection:
        answers = connection.makefile("rb")
        for number in range(1000):
            connection.sendall(REGISTER.format(f"c{number}").encode())
            answer = b"".join(iter(answers.readline, b"\r\n"))
            if b"503" in answer:
                break
            kept.append(f"c{number}")
        else:
            raise AssertionError("the disk was never full")
        connection.sendall(REGISTER.format(kept[0]).encode())
        assert b"registered" in b"".join(iter(answers.readline, b"\r\n"))
    assert kept
    server.end()
    log = (home / "chatserver.log").read_text()
    told = [line for line in log.splitlines() if "server.sqlite" in line]
    assert log.count("server.sqlite: the disk") == 1, told
    again, _ = stage.server(home=home)
    again.send_line("/info")
    for client_id in kept:
        again.expect(f"{client_id} 127.0.0.1:3000")
