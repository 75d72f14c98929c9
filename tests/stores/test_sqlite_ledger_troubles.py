"""Test a ledger whose file cannot be used, or whose disk is full."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace

from chatproto.session.ledger import DELIVERED, LedgerTrouble, StreamState
from chatproto.stores import sqlite_ledger
from chatproto.stores.sqlite_ledger import LEDGER, SqliteLedger
from tests.contracts.ledger import BOB, message
from tests.stores.test_sqlite_ledger import FolderTests

NOBODY = 65534


class AFileThatCannotBeUsed(FolderTests):
    """One sentence, and it stays as it is."""

    def untouched(self, *said: str) -> None:
        before = self.path.read_bytes()
        self.trouble(self.open, *said)
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual([one.name for one in self.folder.iterdir()], [self.path.name])

    def made(self, script: str = "") -> None:
        """A ledger with 500 lines, closed, and what `script` has done to it."""
        ledger = SqliteLedger(self.path)
        ledger.begin(BOB, "b0b")
        for id in range(1, 501):
            ledger.add(BOB, "bob", message(id, "x" * 200))
        ledger.close()
        if script:
            db = sqlite3.connect(self.path)
            db.executescript(script)
            db.close()

    def test_is_of_a_newer_version(self) -> None:
        self.made("PRAGMA user_version = 7")
        self.untouched("newer", "format 7")

    def test_is_no_database(self) -> None:
        self.path.write_text("Dear diary, today I wrote no database. " * 100)
        self.path.chmod(0o600)
        self.untouched("not an SQLite file")

    def test_is_another_program_s_database(self) -> None:
        db = sqlite3.connect(self.path)
        db.executescript("CREATE TABLE bookmarks (url TEXT)")
        db.close()
        self.untouched("another program")

    def test_is_damaged(self) -> None:
        self.made()
        content = self.path.read_bytes()
        self.path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
        self.trouble(self.open, "damaged")
        self.path.write_bytes(content[: len(content) // 3])
        self.trouble(self.open, "damaged")
        self.path.write_bytes(content)
        self.assertEqual(len(self.open().entries(BOB)), 500)

    def test_is_damaged_in_later_pages(self) -> None:
        self.made()
        db = sqlite3.connect(self.path)
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log'").fetchone()
        db.close()
        with self.path.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 4096)
        ledger = self.open()
        self.trouble(lambda: ledger.history(BOB, 9), "damaged")
        self.trouble(lambda: ledger.store_incoming(BOB, "bob", message(1)), "damaged")
        self.assertEqual(ledger.state(BOB), StreamState("b0b", last=500))
        self.assertEqual(len(ledger.entries(BOB)), 500)

    def test_is_in_a_missing_folder(self) -> None:
        self.trouble(lambda: self.open(self.folder / "nowhere" / "l"), "No such file")

    def test_is_a_folder(self) -> None:
        self.path.mkdir(0o700)
        self.trouble(self.open)

    def test_lies_where_one_may_not_write(self) -> None:
        self.made()
        for folder, file in ((0o500, 0o600), (0o700, 0o400)):
            with self.subTest(folder=folder, file=file):
                self.become_nobody()
                self.path.chmod(file)
                self.folder.chmod(folder)
                self.trouble(self.open, "no permission")
                self.folder.chmod(0o700)
        self.folder.chmod(0o500)
        self.trouble(lambda: self.open(self.folder / "new"), "Permission denied")
        self.folder.chmod(0o700)

    def become_nobody(self) -> None:
        """No superuser, whom no mode keeps out."""
        if os.geteuid():
            return
        for one in (self.folder, self.path):
            os.chown(one, NOBODY, -1)
        os.seteuid(NOBODY)
        self.addCleanup(os.seteuid, 0)

    def test_is_written_by_another_program(self) -> None:
        self.patch(sqlite_ledger, "LEDGER", replace(LEDGER, lock_wait=0.0))
        ledger = self.open()
        ledger.begin(BOB, "b0b")
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        self.trouble(lambda: ledger.add(BOB, "bob", message(1)), "another program")
        db.close()
        ledger.add(BOB, "bob", message(1))


class AFullDisk(FolderTests):
    """Full disk: no call is half done, and work continues when there is room."""

    def test_takes_nothing_and_loses_nothing(self) -> None:
        for log in (True, False):
            ledger = self.open(self.folder / f"{log}", log=log)
            ledger.begin(BOB, "b0b")
            ledger._file._db.execute("PRAGMA max_page_count = 40")
            id = 0
            with self.assertRaises(LedgerTrouble) as caught:
                for id in range(1, 10_000):
                    ledger.add(BOB, "bob" * 300, message(id, "x" * 1000))
            self.assertIn("the disk is full", str(caught.exception))
            self.assertGreater(id, 10)
            self.assertEqual(ledger.state(BOB), StreamState("b0b", last=id - 1))
            self.assertEqual([one.id for one in ledger.entries(BOB)], list(range(1, id)))
            self.assertEqual(len(ledger.history(BOB, 9999)), (id - 1) * log)
            ledger._file._db.execute("PRAGMA max_page_count = 4000")
            ledger.add(BOB, "bob", message(id))
            self.assertEqual(len(ledger.entries(BOB)), id)

    def test_stores_no_text_of_a_refused_message(self) -> None:
        ledger = self.open(log=False)
        ledger.begin(BOB, "b0b")
        ledger.add(BOB, "bob", message(1))
        self.assertRaises(LedgerTrouble, ledger.add, BOB, "bob", message(1))
        self.assertRaises(LedgerTrouble, ledger.add, BOB, "\udcff", message(2))
        self.assertRaises(LedgerTrouble, ledger.add, BOB, "bob", message(2**70))
        self.assertEqual(ledger.state(BOB), StreamState("b0b", last=1))
        ledger.settle(BOB, (1,), DELIVERED)
        self.assertEqual((ledger._texts, ledger.entries(BOB)), ({}, ()))
