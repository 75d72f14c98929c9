"""Make `redis-log-3.json` beside this file: the log of servers of commit 266f400, for the directory alone.

Usage: PYTHONPATH=SOURCE python make_log.py FILE, where SOURCE holds `git archive 266f400`. The file was made
once; `tests/cli/test_older_log.py` reads it with the current program.
"""

from __future__ import annotations

import base64
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

MADE = 1_795_979_596.0
"""Time of the first entry, in seconds since 1970."""


def key(number: int) -> str:
    """Return the name of one of many keys."""
    return "sha256:" + base64.b32encode(number.to_bytes(32, "big")).decode().rstrip("=")


class NoMembers:
    """Rooms without anybody."""

    def answered(self, visitor: Any) -> None: ...

    def follow(self, visitor: Any) -> None: ...


def register(client_id: str, *more: str) -> str:
    """Return a REGISTER message."""
    lines = ("REGISTER", "CSeq: 1", f"clientID: {client_id}", "Port: 5000", *more)
    return "".join(f"{line}\r\n" for line in (*lines, ""))


def plain(client_id: str, port: int) -> str:
    """Return a classic REGISTER message."""
    return f"REGISTER\r\nclientID: {client_id}\r\nIP: 10.0.0.2\r\nPort: {port}\r\n\r\n"


BEFORE: list[list[Any]] = [
    ["one", 1, [["beat", "rules"]]],
    ["one", 2, [["come", 1, key(1), "192.0.2.1", 4001, False, None], ["ask", 1, register("alice")]]],
    ["two", 1, [["beat", "rules"]]],
    ["two", 2, [["come", 2, key(2), "192.0.2.2", 4002, False, "bob"],
                ["ask", 2, register("bob", "Expires: 600", "Listed: no", f"Allow: {key(1)}")]]],
    ["two", 3, [["used", "one", 1], ["plain", 7, "198.51.100.1", 1000, False, plain("dave", 3000)]]],
    ["one", 3, [["come", 3, key(3), "192.0.2.3", 4003, False, None], ["ask", 3, register("carol")]]],
    ["one", 4, [["gone", 3, ""]]],
]  # fmt: skip
AFTER: list[list[Any]] = [
    ["one", 5, [["plain", 8, "198.51.100.2", 1001, False, plain("erin", 3001)], ["closed", 8]]],
    ["two", 4, [["plain", 7, "198.51.100.1", 1000, False, plain("dave", 3002)]]],
    ["one", 6, [["come", 4, key(4), "192.0.2.4", 4004, False, None],
                ["ask", 4, register("al1ce")], ["ask", 4, register("frank")]]],
    ["two", 5, [["expel", "carol", True]]],
    ["two", 6, [["end"]]],
]  # fmt: skip


def main(path: Path) -> None:
    """Have the old program read the first entries and draw its snapshot."""
    limits = import_module("chatproto.wire.limits").SERVER_DEFAULTS
    shared = import_module("chatproto.stores.shared").SharedMemory(limits)
    keyed = import_module("chatproto.directory.keyed")
    side = import_module("chatproto.server.secure_side").SecureSide(
        None, keyed.KeyedDirectory(shared.names, shared.registry, str, limits)
    )
    pushes = import_module("chatproto.server.client_pushes").ClientPushes(side)
    replica = import_module("chatproto.server.replica").Replica(
        shared, side, NoMembers(), pushes, limits
    )
    commands = import_module("chatproto.server.commands")
    snapshot = import_module("chatproto.server.replica_snapshot")
    for number, entry in enumerate(BEFORE):
        assert replica.apply(commands.read(json.dumps(entry)), MADE + number) is not None
    entries = [
        [MADE + len(BEFORE) + number, json.dumps(entry)] for number, entry in enumerate(AFTER)
    ]
    lines = [*snapshot.written(snapshot.picture(replica))]
    path.write_text(json.dumps({"picture": lines, "entries": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
