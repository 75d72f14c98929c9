"""Measure the longest turn of the reactor with many clients: start, expiry, write-behind.

    .venv/bin/python bench/turns.py --clients 200000

Everything runs in this process on the server's own parts, with an SQLite file in a temporary folder. For
each kind of work one line tells how many turns it took, the longest of them, and all together, in
milliseconds of CPU.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import thread_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from chatproto.directory.keyed import KeyedDirectory
from chatproto.stores.sqlite import SqliteStore
from chatproto.stores.sqlite_registry import BATCH
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
            f"{self.name:34} {len(self.seconds):7} turns, longest {longest:8.1f} ms, all {total:9.1f} ms"
        )


def turn(name: str, work: Callable[[], Any]) -> Any:
    """Measure `work`, which is one turn."""
    turns = Turns(name)
    result = turns(work)
    turns.show()
    return result


def filled(path: Path, count: int, limits: ServerLimits) -> None:
    """Make a file with `count` registrations with keys, connected when it ended, and as many without."""
    store = SqliteStore(path, key(1), limits)
    keys = [key(number) for number in range(1000)]
    names = [(f"n{number}", keys[number % 1000]) for number in range(count)]
    with store._file.transaction() as db:
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
        db.executemany(
            "INSERT INTO leases (heard, client_id, ip, port, key, host, host_port, local)"
            " VALUES (1000.0, ?, '10.0.0.1', 3000, NULL, '10.0.0.1', 1, 0)",
            ((f"c{number}",) for number in range(count)),
        )
    store.close()


def measure(path: Path, count: int, limits: ServerLimits) -> None:
    """Start on the file, have everybody heard from, and let all of it expire."""
    store = turn("start: open the file", lambda: SqliteStore(path, key(1), limits))
    directory = KeyedDirectory(store.names, store.registry, str, limits, presences=store.presences)
    turn("start: resume registrations", lambda: directory.resume(2000.0))
    for number in range(count):
        store.registry.touch(f"c{number}", 3000.0)
    turns = Turns("write behind")
    for _ in range(-(-count // BATCH)):
        turns(store.write_behind)
    turns.show()
    end = 2000.0 + 3601
    turns = Turns("expire registrations with keys")
    turns.until(lambda: (directory.due(end, SOME), directory.is_due(end))[1])
    turns.show()
    turns = Turns("expire names")
    turns.until(lambda: store.names.expire(end, end))
    turns.show()
    turns = Turns("expire classic registrations")
    turns.until(lambda: store.registry.expire(end, SOME))
    turns.show()
    turn("close", store.close)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure the longest turn of the reactor with many clients."
    )
    parser.add_argument("--clients", type=int, default=200_000)
    count = parser.parse_args().clients
    limits = ServerLimits(
        names=2 * count, registrations=2 * count, registrations_per_address=2 * count
    )
    gc.disable()  # as the server's program does until it runs
    with TemporaryDirectory() as folder:
        path = Path(folder) / "server.sqlite"
        filled(path, count, limits)
        measure(path, count, limits)


if __name__ == "__main__":
    main()
