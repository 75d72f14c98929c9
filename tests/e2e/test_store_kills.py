"""`kill -9` of a server in the middle of its work: all that it had acknowledged is there afterwards.

Ten times, 200 times with `--long`. They run under pytest; trial finds no test case in them.
"""

from __future__ import annotations

import random
import signal
import socket
import threading
from pathlib import Path

import pytest

from chatproto.wire import bcp2
from chatproto.wire.bcp2_common import Error
from chatproto.wire.messages import Sender
from chatproto.wire.strict import StrictDecoder, encode
from tests.e2e.harness import LIMIT, Program, Stage, free_port
from tests.e2e.tls_wires import dial

KILLS, LONG_KILLS = 10, 200
SEED = 8
BATCH = 20
REGISTER = "REGISTER\r\nclientID: {0}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
REGISTERED = b"Status: registered\r\n\r\n"


class Load:
    """Clients that register new ids until the server is gone; what was acknowledged is remembered."""

    def __init__(self, port: int, name: str, folder: Path) -> None:
        self.classic: list[str] = []
        self.keyed: list[str] = []
        self._port = port
        self._name = name
        self._folder = folder
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._until_gone, args=(work,), daemon=True)
            for work in (self._register_classic, self._register_keyed)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self, classic: int, keyed: int) -> None:
        """Until so many are acknowledged."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: len(self.classic) >= classic and len(self.keyed) >= keyed, LIMIT
            )
        assert enough, (len(self.classic), len(self.keyed))

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

    def _remember(self, known: list[str], ids: list[str]) -> None:
        with self._changed:
            known += ids
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
            answer = asker.ask(bcp2.Register(1, client_id, 5000))
            assert isinstance(answer, bcp2.RegAck), answer
            self._remember(self.keyed, [client_id])


class Asker:
    """A connection with a new key."""

    def __init__(self, port: int, folder: Path) -> None:
        self._connection = dial(port, folder)
        self._decoder = StrictDecoder(Sender.SERVER)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, message: object) -> object:
        """The answer; raises EOFError or OSError."""
        self._connection.sendall(encode(message))  # type: ignore[arg-type]
        while True:
            chunk = self._connection.recv(65536)
            if not chunk:
                raise EOFError
            if answers := self._decoder.feed(chunk):
                return answers[0]


def running(stage: Stage, home: Path, port: int) -> Program:
    """A server that answers its operator, and so listens."""
    where = f"tcp:{port}:interface=127.0.0.1"
    server: Program = stage.start("chatserver", "--port", where, "--quiet", home=home)
    registered(server, "nobody")
    return server


def registered(server: Program, prefix: str) -> set[str]:
    """Which ids that begin so the operator is shown."""
    before = len(server.lines)
    server.send_line(f"/info {prefix}")
    server.send_line("/nonsense")
    server.expect("* there is no /nonsense; /help lists what there is")
    return {line.partition(" ")[0] for line in server.lines[before:] if line.startswith(prefix)}


def test_what_was_acknowledged_survives_kill_9(
    stage: Stage, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chance = random.Random(SEED)
    home, port = stage.place("home"), free_port()
    server = running(stage, home, port)
    acknowledged = 0
    for number in range(LONG_KILLS if pytestconfig.getoption("--long") else KILLS):
        load = Load(port, f"r{number}", tmp_path)
        load.start()
        load.wait(chance.randrange(1, 1000), chance.randrange(1, 10))
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        load.join()
        server = running(stage, home, port)
        assert set(load.classic) - registered(server, f"r{number}c") == set()
        with Asker(port, tmp_path) as other:
            for client_id in load.keyed:
                taken = other.ask(bcp2.Register(2, client_id, 5000))
                assert isinstance(taken, Error) and taken.status == 409, client_id
            assert isinstance(other.ask(bcp2.Register(3, f"r{number}x", 5000)), bcp2.RegAck)
            for client_id in load.keyed:
                away = other.ask(bcp2.Bridge(4, client_id))
                assert isinstance(away, Error) and away.status == 480, client_id
        acknowledged += len(load.classic) + len(load.keyed)
    print(f"{acknowledged} registrations were acknowledged, and none lost")
