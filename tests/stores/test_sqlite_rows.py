"""Rows that somebody else has changed: one sentence, whatever stands in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.net.clock import Wall
from chatproto.rooms.policy import RoomPolicy
from chatproto.session.ledger import MSG, LedgerTrouble, StreamEntry
from chatproto.stores.sqlite_ledger import SqliteLedger
from chatproto.wire.errors import StoreTrouble
from tests.contracts.names import key
from tests.contracts.presences import presence
from tests.stores.sqlite_case import StoreCase

DEEP = "[" * 100_000
CHANGES = [
    ("leases", "port", "x"),
    ("leases", "heard", "soon"),
    ("leases", "port", 10**7),
    ("leases", "client_id", "no id"),
    *(("leases", "client_id", one) for one in ("", "-x", "x" * 65, "\u00e4", "a\0b", "a\nb")),
    ("leases", "ip", b"\xff"),
    ("names", "used", "yesterday"),
    ("names", "key", b"7"),
    ("presences", "expires", "x"),
    ("presences", "until", "never"),
    ("rooms", "kept", "not JSON"),
    ("rooms", "kept", DEEP),
    ("rooms", "kept", '{"ops": 3}'),
    ("rooms", "kept", b"{}"),
    ("room_numbers", "last", "x"),
    ("room_numbers", "since", 1.5),
    ("meta", "value", b"x"),
]
READ_LATER = [
    ("presences", "port", -1),
    ("presences", "addresses", "{}x"),
    ("presences", "addresses", '[["h"]]'),
    ("presences", "addresses", DEEP),
    ("presences", "allow", "[7]"),
    ("presences", "key", "sha256:none"),
    ("presences", "client_id", "no id"),
    ("hidden", "allow", "not JSON"),
    ("hidden", "allow", '["sha256:none"]'),
]
"""Rows that are read when somebody asks for their id."""


class RowTests(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        store = self.open()
        store.names.keep("alice", key(1), 1000.0)
        source = Origin("198.41.0.4", 5, False)
        store.registry.keep(ClassicRegistration("bob", "127.0.0.1", 3000, source), 1000.0)
        store.presences.commit(presence("alice", 1, listed=False), 1000.0)
        store.rooms.keep(RoomPolicy("#tea", key(1)))
        store.rooms.append("#tea", "alice", 1000.0, "hello")
        store.rooms.settle()
        self.close()
        self.whole = self.path.read_bytes()

    def change(self, table: str, column: str, value: Any) -> None:
        self.path.write_bytes(self.whole)
        with sqlite3.connect(self.path) as db:
            db.execute("PRAGMA ignore_check_constraints = on")
            db.execute(f"UPDATE {table} SET {column} = ?", (value,))
        db.close()

    def test_every_wrong_value_is_one_sentence_at_the_start(self) -> None:
        for table, column, value in CHANGES:
            self.change(table, column, value)
            said = self.refused()
            self.assertIn("damaged", said, (table, column, str(value)[:20]))

    def test_invalid_registration_is_reported_on_lookup(self) -> None:
        for table, column, value in READ_LATER:
            self.change(table, column, value)
            store, name = self.open(), str(value) if column == "client_id" else "alice"
            with self.assertRaises(StoreTrouble) as caught:
                store.presences.find(name) if table == "presences" else store.names.hidden(name)
            self.assertIn("damaged", str(caught.exception), (table, column))

    def test_invalid_line_is_reported_on_reading(self) -> None:
        for column, value in (("text", b"x"), ("at", "then"), ("sender", b"3")):
            self.change("lines", column, value)
            with self.assertRaises(StoreTrouble):
                self.open().rooms.page("#tea", None, None, 10, 1000)


class LedgerRowTests(SynchronousTestCase):
    def test_every_wrong_value_is_one_sentence(self) -> None:
        for table, column, value in (
            ("peers", "last", "x"),
            ("peers", "stream", b"7"),
            ("outbox", "at", "x"),
            ("outbox", "line", b"7"),
            ("meta", "value", "x"),
            ("log", "at", "x"),
            ("log", "text", b"7"),
            ("log", "id", "x"),
        ):
            path = Path(self.mktemp())
            ledger = SqliteLedger(path)
            ledger.begin("key", "stream")
            ledger.add("key", "bob", StreamEntry(1, MSG, Wall(1000.0), "hello"))
            ledger.close()
            db = sqlite3.connect(path)
            db.execute(f"UPDATE {table} SET {column} = ?", (value,))
            db.commit()
            db.close()
            with self.assertRaises(LedgerTrouble) as caught:
                SqliteLedger(path).history("key", 10)
            self.assertIn("damaged", str(caught.exception), (table, column))
            self.assertNotIn("\n", str(caught.exception))
