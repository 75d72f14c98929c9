"""Make `store.sqlite` beside this file: what a server of commit f9d4db7 leaves when it is killed.

Usage: PYTHONPATH=SOURCE python tests/old/make_store.py FILE, where SOURCE holds `git archive f9d4db7`. The
file was made once; `tests/stores/test_old_store.py` opens copies of it with the current program.
"""

from __future__ import annotations

import base64
import os
import sqlite3
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

MADE = 1795979596.0
"""Time of that server when it was killed, in seconds since 1970."""


def key(number: int) -> str:
    """Return the name of one of many keys."""
    return "sha256:" + base64.b32encode(number.to_bytes(32, "big")).decode().rstrip("=")


def fill(path: Path) -> None:
    """Have the old program keep something of every kind."""
    store = import_module("chatproto.stores.sqlite").SqliteStore(path, key(9))
    lease = import_module("chatproto.directory.lease")
    visitors = import_module("chatproto.directory.visitors")
    history = import_module("chatproto.rooms.history")
    for number, (name, age) in enumerate((("alice", 5.0), ("bob", 50.0), ("carol", 500.0)), 1):
        store.names.keep(name, key(number), MADE - age)
        visitor = visitors.Visitor(key(number), f"192.0.2.{number}", 40000 + number, False)
        listed = name != "carol"
        presence = visitors.Presence(
            name,
            key(number),
            5000,
            (("10.0.0.1", 5000),),
            3600,
            listed,
            () if listed else (key(1),),
            visitor,
        )
        store.presences.keep(presence)
        if name != "alice":
            store.presences.left(replace(presence, until=MADE - age + 3600.0))
    for number, name in enumerate(("dave", "erin")):
        source = lease.Source(f"198.51.100.{number}", 1000 + number, False)
        store.registry.keep(lease.Lease(name, "10.0.0.2", 3000 + number, source), MADE - number)
    room = history.Kept(
        "#tea",
        owner=key(1),
        topic="hot",
        used=MADE - 60.0,
        ops=((key(2), MADE + 600.0),),
        mutes=((key(3), MADE + 60.0),),
        bans=(history.Ban("address", "203.0.113.9", MADE + 900.0),),
    )
    store.rooms.keep(room)
    for text in ("one", "two"):
        store.rooms.append("#tea", "alice", MADE - 60.0, text)
    store.rooms.settle()


def main(path: Path) -> None:
    """Fill the file `path` in a process that ends without a word, and leave one whole file."""
    child = os.fork()
    if child == 0:
        fill(path)
        os._exit(0)  # as if killed
    _, status = os.waitpid(child, 0)
    assert status == 0
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
