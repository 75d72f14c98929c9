"""`kill -9` of a server in the middle of its work: all that it had acknowledged is there afterwards.

Three times, 200 times with `--long`. They run under pytest; trial finds no test case in them.
"""

from __future__ import annotations

import random
import signal
import socket
import threading
from itertools import count
from operator import add
from pathlib import Path
from typing import TypeVar

import pytest

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Error
from chatproto.wire.classic import Sender
from chatproto.wire.strict import encode
from tests.e2e.harness import LIMIT, Program, Stage, free_port
from tests.e2e.tls_wires import dial

KILLS, LONG_KILLS = 3, 200
SEED = 8
BATCH = 20
ROOM = "#tea"
FAST = "say-rate=100000 say-burst=100000 say-bytes=1e9 room-history=1000000 new-ids-per-address=1000000"
T = TypeVar("T")
REGISTER = "REGISTER\r\nclientID: {0}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
REGISTERED = b"Status: registered\r\n\r\n"


class Load:
    """Clients that register and talk until the server is gone; what was acknowledged is remembered."""

    def __init__(self, port: int, name: str, folder: Path) -> None:
        self.classic: list[str] = []
        self.keyed: list[str] = []
        self.said: list[tuple[int, str]] = []
        self._port = port
        self._name = name
        self._folder = folder
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._until_gone, args=(work,), daemon=True)
            for work in (self._register_classic, self._register_keyed, self._talk)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def acknowledged(self) -> tuple[int, int, int]:
        """Return the number of each kind."""
        return len(self.classic), len(self.keyed), len(self.said)

    def wait(self, *least: int) -> None:
        """Until so many are acknowledged."""

        def enough() -> bool:
            return all(has >= want for has, want in zip(self.acknowledged(), least, strict=True))

        with self._changed:
            assert self._changed.wait_for(enough, LIMIT), self.acknowledged()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive()

    def _until_gone(self, work: object) -> None:
        try:
            while True:
                work()  # type: ignore[operator]
        except (OSError, EOFError):
            pass

    def _remember(self, known: list[T], more: list[T]) -> None:
        with self._changed:
            known += more
            self._changed.notify_all()

    def _register_classic(self) -> None:
        """Many in one write, on one connection; answers come in order."""
        with socket.create_connection(("127.0.0.1", self._port), LIMIT) as connection:
            sent: list[str] = []
            answered, rest = 0, b""
            while True:
                more = [f"{self._name}c{len(sent) + number}" for number in range(BATCH)]
                connection.sendall("".join(map(REGISTER.format, more)).encode())
                sent += more
                while answered < len(sent):
                    chunk = connection.recv(65536)
                    if not chunk:
                        raise EOFError
                    *whole, rest = (rest + chunk).split(REGISTERED)
                    self._remember(self.classic, sent[answered : answered + len(whole)])
                    answered += len(whole)

    def _register_keyed(self) -> None:
        """A new key each time."""
        client_id = f"{self._name}k{len(self.keyed)}"
        with Asker(self._port, self._folder) as asker:
            answer = asker.ask(bcp2_server.Register(1, client_id, 5000))
            assert isinstance(answer, bcp2_server.RegAck), answer
            self._remember(self.keyed, [client_id])

    def _talk(self) -> None:
        with Asker(self._port, self._folder) as asker:
            asker.ask(bcp2_server.Register(1, f"{self._name}talker", 5000))
            joined = asker.ask(bcp2_rooms.Join(2, ROOM))
            assert isinstance(joined, bcp2_rooms.JoinAck), joined
            for number in count(3):
                text = f"{self._name} {number}"
                answer = asker.ask(bcp2_rooms.Say(number, ROOM, text))
                assert isinstance(answer, bcp2_rooms.SayAck), answer
                self._remember(self.said, [(answer.id, text)])


class Asker:
    """A connection with a new key."""

    def __init__(self, port: int, folder: Path) -> None:
        self._connection = dial(port, folder)
        self._decoder = StrictReceiver(Sender.SERVER)
        self.said: list[tuple[int, str]] = []

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, message: object) -> object:
        """The answer, but what was said is in `said`; raises EOFError or OSError."""
        number = getattr(message, "cseq", None)
        self._connection.sendall(encode(message))  # type: ignore[arg-type]
        while True:
            chunk = self._connection.recv(65536)
            if not chunk:
                raise EOFError
            for answer in self._decoder.read(chunk):
                if isinstance(answer, bcp2_rooms.Said) and answer.cseq == number:
                    self.said.append((answer.id, answer.text))
                elif getattr(answer, "cseq", None) == number:
                    return answer


def running(stage: Stage, home: Path, port: int) -> Program:
    """A server that answers its operator, and so listens."""
    fast = [
        word
        for limit in f"{FAST} introductions-vain=100000".split()
        for word in ("--limits", limit)
    ]
    where = f"tcp:{port}:interface=127.0.0.1"
    server: Program = stage.start("chatserver", "--port", where, "--quiet", *fast, home=home)
    registered(server, "nobody")
    return server


def registered(server: Program, prefix: str) -> set[str]:
    """List the ids with this prefix that the operator is shown."""
    before = len(server.lines)
    server.send_line(f"/info {prefix}")
    server.send_line("/nonsense")
    server.expect("* unknown command /nonsense: /help lists the commands")
    return {line.partition(" ")[0] for line in server.lines[before:] if line.startswith(prefix)}


def said_since(port: int, folder: Path, after: int) -> set[tuple[int, str]]:
    """Return the room's messages after the number `after`."""
    with Asker(port, folder) as asker:
        asker.ask(bcp2_server.Register(1, f"reader{after}", 5000))
        asker.ask(bcp2_rooms.Join(2, ROOM))
        for number in count(3):
            page = asker.ask(bcp2_rooms.History(number, ROOM, after=after))
            assert isinstance(page, bcp2_rooms.HistoryAck), page
            if not page.more:
                return set(asker.said)
            after = asker.said[-1][0]
    raise AssertionError


def test_acknowledged_changes_survive_kill_9(
    stage: Stage, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chance = random.Random(SEED)
    home, port = stage.place("home"), free_port()
    server = running(stage, home, port)
    acknowledged = [0, 0, 0]
    for number in range(LONG_KILLS if pytestconfig.getoption("--long") else KILLS):
        load = Load(port, f"r{number}", tmp_path)
        load.start()
        load.wait(chance.randrange(1, 1000), chance.randrange(1, 10), chance.randrange(1, 100))
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        load.join()
        server = running(stage, home, port)
        assert set(load.classic) - registered(server, f"r{number}c") == set()
        with Asker(port, tmp_path) as other:
            for client_id in load.keyed:
                taken = other.ask(bcp2_server.Register(2, client_id, 5000))
                assert isinstance(taken, Error) and taken.status == 409, client_id
            assert isinstance(
                other.ask(bcp2_server.Register(3, f"r{number}x", 5000)), bcp2_server.RegAck
            )
            for client_id in load.keyed:
                away = other.ask(bcp2_server.Bridge(4, client_id))
                assert isinstance(away, Error) and away.status == 480, client_id
        assert set(load.said) - said_since(port, tmp_path, load.said[0][0] - 1) == set()
        acknowledged = [*map(add, acknowledged, load.acknowledged())]
    print("{} and {} registrations, {} messages: none lost".format(*acknowledged))
