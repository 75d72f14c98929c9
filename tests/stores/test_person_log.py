"""Test the limit on one peer's messages in a log, for each kind of ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.ledger import LINE_BYTES, MSG, Ledger, StreamEntry
from chatproto.stores.sqlite_ledger import SqliteLedger
from tests.stores.memory_ledger import MemoryLedger

MOST = 10 * LINE_BYTES + 100


class PersonLog(SynchronousTestCase):
    """In memory."""

    def setUp(self) -> None:
        self.ledger = self.open()
        self.addCleanup(lambda: self.ledger.close())
        for key in ("a", "b"):
            self.ledger.begin(key, "0" * 16)

    def open(self) -> Ledger:
        return MemoryLedger(most=MOST)

    def hear(self, key: str, *ids: int, text: str = "x") -> None:
        for id in ids:
            self.ledger.store_incoming(key, key, StreamEntry(id, MSG, Wall(0.0), text))

    def texts(self, key: str) -> list[int]:
        return [line.id for line in self.ledger.history(key, 1000)]

    def test_oldest_shown_lines_are_removed_with_one_notice(self) -> None:
        self.hear("b", 1)
        self.hear("a", *range(1, 11))
        self.assertFalse(self.ledger.was_thinned("a"))
        self.ledger.shown(11)
        self.hear("a", *range(11, 16))
        self.assertEqual(self.texts("a"), list(range(6, 16)))
        self.assertEqual(self.texts("b"), [1])
        self.assertEqual([self.ledger.was_thinned("a") for _ in range(2)], [True, False])
        self.hear("a", 16)
        self.assertFalse(self.ledger.was_thinned("a") or self.ledger.is_full("a"))

    def test_unshown_messages_stay_and_keep_the_log_full(self) -> None:
        self.hear("a", *range(1, 12))
        self.assertTrue(self.ledger.is_full("a"))
        self.assertFalse(self.ledger.is_full("b") or self.ledger.was_thinned("a"))
        self.assertEqual(self.texts("a"), list(range(1, 12)))
        self.ledger.shown(11)
        self.assertFalse(self.ledger.is_full("a"))
        self.hear("a", 12)
        self.assertEqual(self.texts("a"), list(range(3, 13)))

    def test_one_long_message_makes_room_for_itself(self) -> None:
        self.hear("a", *range(1, 11))
        self.ledger.shown(10)
        self.hear("a", 11, text="y" * 4 * LINE_BYTES)
        self.assertEqual(self.texts("a"), list(range(6, 12)))

    def test_removed_messages_are_not_found(self) -> None:
        self.hear("a", 1, text="needle")
        self.assertEqual(len(self.ledger.search("needle", 10)), 1)
        self.ledger.shown(1)
        self.hear("a", *range(2, 15))
        self.assertEqual(self.ledger.search("needle", 10), ())
        self.assertEqual(len(self.ledger.search("x", 100)), len(self.texts("a")))


class SqlitePersonLog(PersonLog):
    """In a file."""

    def open(self) -> Ledger:
        self.path = Path(self.mktemp())
        return SqliteLedger(self.path, most=MOST)

    def test_size_is_counted_across_restarts(self) -> None:
        self.hear("a", *range(1, 11))
        self.ledger.shown(10)
        self.ledger.close()
        self.ledger = SqliteLedger(self.path, most=MOST)
        self.hear("a", 11, 12)
        self.assertEqual(self.texts("a"), list(range(3, 13)))

    def test_older_log_is_counted_when_opened(self) -> None:
        self.hear("a", *range(1, 11))
        self.ledger.shown(10)
        self.ledger.close()
        with sqlite3.connect(self.path) as db:
            db.execute("DELETE FROM meta WHERE name = 'sized' OR name LIKE 'logged %'")
        db.close()
        self.ledger = SqliteLedger(self.path, most=MOST)
        self.hear("a", 11, 12)
        self.assertEqual(self.texts("a"), list(range(3, 13)))
