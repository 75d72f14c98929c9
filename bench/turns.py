"""Measure the start, and the longest turn of the reactor, with many clients.

    .venv/bin/python bench/turns.py --clients 50000 200000

Everything runs in this process on the server's own parts, with an SQLite file in a temporary folder. Each
number of clients is registered with keys, and as many more without. For each kind of work one line tells
how many turns it took, the longest of them, and all together, in milliseconds of CPU. `--connections` are
opened by a child process on loopback and break together.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import thread_time
from typing import Any

from twisted.internet.epollreactor import EPollReactor

sys.path.insert(0, str(Path(__file__).parent.parent))

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.net.fast_tcp import use_fast_turns
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import ChatServer
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.open import MemoryStore
from chatproto.stores.sqlite import SqliteStore
from chatproto.wire.bcp2_server import Info
from chatproto.wire.classic import ClassicInfo
from chatproto.wire.limits import ServerLimits
from tests.contracts.names import key

SOME = 100
"""Expired in one turn, as by the server."""


class Turns:
    """The seconds that each turn of one kind of work took."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds: list[float] = []

    def __call__(self, work: Callable[[], Any]) -> Any:
        begun = thread_time()
        result = work()
        self.seconds.append(thread_time() - begun)
        return result

    def until(self, step: Callable[[], Any], most: int = 1_000_000) -> None:
        """Take turns of `step` until it returns False."""
        for _ in range(most):
            if not self(step):
                break

    def show(self) -> None:
        longest, total = max(self.seconds) * 1000, sum(self.seconds) * 1000
        print(
            f"{self.name:38} {len(self.seconds):7} turns, longest {longest:8.2f} ms, all {total:9.1f} ms"
        )


def turn(name: str, work: Callable[[], Any]) -> Any:
    """Measure `work`, which is one turn."""
    turns = Turns(name)
    result = turns(work)
    turns.show()
    return result


def filled(path: Path, count: int, limits: ServerLimits, keyed: bool, classic: bool) -> None:
    """Make a file with `count` registrations with keys, connected when it ended, or without."""
    store = SqliteStore(path, key(1), limits)
    keys = [key(number) for number in range(1000)]
    names = [(f"n{number}", keys[number % 1000]) for number in range(count)]
    with store._file.transaction() as db:
        if classic:
            db.executemany(
                "INSERT INTO leases (heard, client_id, ip, port, key, host, host_port, local)"
                " VALUES (1000.0, ?, '10.0.0.1', 3000, NULL, '10.0.0.1', 1, 0)",
                ((f"c{number}",) for number in range(count)),
            )
        if not keyed:
            names = []
        db.executemany(
            "INSERT INTO names (client_id, fold, key, used, host, trial)"
            " VALUES (?1, ?1, ?2, 1000.0, '10.0.0.1', 0)",
            names,
        )
        db.executemany(
            "INSERT INTO presences VALUES (?, ?, 5000, '[[\"10.0.0.1\", 5000]]', 3600, 1, '[]',"
            " '10.0.0.1', 4000, 0, NULL)",
            names,
        )
    store.close()


def started(path: Path, limits: ServerLimits) -> tuple[SqliteStore, KeyedDirectory]:
    """Do what a server does with its store before it listens."""
    store = SqliteStore(path, key(1), limits)
    directory = KeyedDirectory(store.names, store.registry, str, limits, presences=store.presences)
    directory.resume(2000.0)
    return store, directory


def lists(store: SqliteStore, keyed: KeyedDirectory, limits: ServerLimits) -> None:
    """Ask for lists in both dialects, and as the operator. The first of each puts all into an order."""
    directory = Directory(store.registry, limits, store.names)
    directory.open = keyed
    source = Origin("10.0.0.9", 1, False)
    client = ClientConnection(key(2), "10.0.0.9", 1)
    for name in ("the first INFO", "another INFO"):
        turn(f"{name}, without a key", lambda: directory.answer(ClassicInfo(), source, 3000.0))
        turn(f"{name}, with a key", lambda: keyed.answer(Info(1), client, 3000.0))
    turns, lines = Turns("lines of /info"), directory.info_lines()
    turns.until(lambda: next(lines, None))
    turns.show()


def measure(path: Path, count: int, limits: ServerLimits) -> None:
    """Start on the file, list all, have everybody heard from, and let all of it expire."""
    store, directory = turn("start: with keys, and as many without", lambda: started(path, limits))
    lists(store, directory, limits)
    turns = Turns("find a client that is away")
    for number in range(0, count, max(1, count // 1000)):
        turns(partial(store.presences.find, f"n{number}"))
    turns.show()
    for number in range(count):
        store.registry.touch(f"c{number}", 3000.0)
    turns = Turns("write behind")
    turns.until(store.write_behind)
    turns.show()
    end = 2000.0 + 3601
    turns = Turns("expire registrations with keys")
    turns.until(lambda: (directory.due(end, SOME), directory.is_due(end))[1])
    turns.show()
    turns = Turns("expire names")
    turns.until(lambda: store.names.expire(end, end, SOME))
    turns.show()
    turns = Turns("expire classic registrations")
    turns.until(lambda: store.registry.expire(end, SOME))
    turns.show()
    turn("close", store.close)


def ends(count: int) -> None:
    """Measure the turns in which `count` connections that break at one moment are ended."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    reactor: Any = EPollReactor()
    reactor.startRunning()
    use_fast_turns(reactor)
    limits = ServerLimits(connections=2 * count, registrations=2 * count)
    store = MemoryStore(limits)
    directory = KeyedDirectory(store.names, store.registry, str, limits)
    no_tls: Any = None  # nobody comes with TLS
    side = SecureSide(no_tls, directory, WorkQueue(reactor))
    server = ChatServer(reactor, ["tcp:0:interface=127.0.0.1"], store.registry, side, limits)
    server.startService()
    if os.fork() == 0:
        crowd = [socket.create_connection(server.addresses[0]) for _ in range(count)]
        for number, one in enumerate(crowd):
            one.sendall(
                b"REGISTER\r\nclientID: c%d\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n" % number
            )
        for one in crowd:
            one.recv(1000)
        os._exit(0)
    while len(server.factory) < count:
        reactor.iterate(0.01)
    turns = Turns(f"ends of {count} connections")
    while len(server.factory):
        turns(lambda: reactor.iterate(0.01))
    turns.show()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure the longest turn of the reactor with many clients."
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--connections", type=int, default=5_000)
    options = parser.parse_args()
    gc.disable()  # as the server's program does until it runs
    ends(options.connections)
    for count in options.clients:
        print(f"{count} clients")
        limits = ServerLimits(
            names=2 * count, registrations=2 * count, registrations_per_address=2 * count
        )
        with TemporaryDirectory() as folder:
            for kind, keyed in (("with keys", True), ("without keys", False)):
                path = Path(folder) / f"{keyed}.sqlite"
                filled(path, count, limits, keyed, not keyed)
                store, _ = turn(f"start: {kind}", partial(started, path, limits))
                store.close()
            path = Path(folder) / "server.sqlite"
            filled(path, count, limits, True, True)
            measure(path, count, limits)


if __name__ == "__main__":
    main()
