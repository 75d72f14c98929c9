"""The ledger in a file of SQLite."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.ledger import (
    DELIVERED,
    HEARD,
    MSG,
    TURN,
    WAITING,
    Ledger,
    LedgerTrouble,
    StreamEntry,
    StreamState,
)
from chatproto.stores.sqlite_file import upgrade
from chatproto.stores.sqlite_ledger import LEDGER, SqliteLedger
from tests.contracts.ledger import BOB, CAROL, LedgerContract, message, texts

WRITER = """
import sys
from chatproto.session.ledger import MSG, StreamEntry
from chatproto.stores.sqlite_ledger import SqliteLedger
ledger = SqliteLedger(sys.argv[1])
ledger.begin("k", "s")
for id in range(1, 3001):
    ledger.add("k", "bob", StreamEntry(id, MSG, 0.0, f"ours {id}"))
    ledger.wrote("k", id)
    ledger.store_incoming("k", "bob", StreamEntry(id, MSG, 0.0, f"theirs {id}"))
    print(id, flush=True)
sys.stdin.read()
"""


class FolderTests(SynchronousTestCase):
    """Tests with a folder of their own, and ledgers that are closed at the end."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "ledger.sqlite"

    def open(self, path: Path | None = None, log: bool = True) -> SqliteLedger:
        ledger = SqliteLedger(path or self.path, log=log)
        self.addCleanup(ledger.close)
        return ledger

    def trouble(self, what: Callable[[], object], *said: str) -> None:
        """`what` raises one sentence, with the path and all of `said` in it."""
        text = str(self.assertRaises(LedgerTrouble, what))
        for one in (str(self.folder), *said):
            self.assertIn(one, text)
        self.assertNotIn("\n", text)


class ALedgerInAFile(LedgerContract, FolderTests):
    def make(self, log: bool) -> Ledger:
        return self.open(log=log)


class WhatIsLeft(FolderTests):
    """After the end of a process, however it ended."""

    def fill(self, ledger: Ledger) -> None:
        ledger.begin(BOB, "b0b")
        ledger.meet(BOB, "theirs")
        for id in (1, 2, 3, 4):
            ledger.add(BOB, "bob", message(id, f"ours {id}"))
        ledger.add(BOB, "bob", StreamEntry(5, TURN, Wall(5.0)))
        ledger.wrote(BOB, 3)
        ledger.settle(BOB, (1,), DELIVERED)
        ledger.withdraw(BOB, 2)
        ledger.shown(ledger.store_incoming(BOB, "bob", message(8, "hello seen")))
        ledger.store_incoming(BOB, "bob", message(9, "hello unseen"))
        ledger.set_turn(BOB, "mine")

    def everything(self, ledger: Ledger) -> tuple[object, ...]:
        return (
            ledger.state(BOB),
            ledger.entries(BOB),
            ledger.waiting(),
            ledger.history(BOB, 99),
            ledger.search("hello", 9),
            ledger.unshown(),
        )

    def test_is_everything_after_a_close(self) -> None:
        ledger = self.open()
        self.fill(ledger)
        before = self.everything(ledger)
        ledger.close()
        again = self.open()
        self.assertEqual(self.everything(again), before)
        self.assertEqual(again.state(BOB), StreamState("b0b", 5, 3, "theirs", 9, "mine"))
        self.assertEqual(texts(again.unshown()), ["hello unseen"])

    def test_is_everything_if_it_was_never_closed(self) -> None:
        ledger = self.open()
        self.fill(ledger)
        copy = self.folder / "copy"
        copy.mkdir()
        for one in self.folder.glob("ledger.sqlite*"):
            shutil.copy(one, copy)
        self.assertEqual(
            self.everything(self.open(copy / "ledger.sqlite")), self.everything(ledger)
        )

    def test_is_what_was_acknowledged_when_the_process_is_killed(self) -> None:
        for lines in (1, 40, 333):
            path = self.folder / f"{lines}.sqlite"
            command = [sys.executable, "-c", WRITER, str(path)]
            pipe = subprocess.PIPE
            with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
                assert writer.stdout is not None
                said = [writer.stdout.readline() for _ in range(lines)]
                writer.send_signal(signal.SIGKILL)
                said += writer.stdout.readlines()
            told = len([line for line in said if line.endswith("\n")])
            ledger = self.open(path)
            state = ledger.state("k")
            assert state is not None
            self.assertGreaterEqual(told, lines)
            self.assertIn(state.last, (told, told + 1))
            self.assertLessEqual(told, state.have)
            self.assertLessEqual(state.have, state.written)
            kept = ledger.history("k", 10_000)
            ours = [f"ours {id}" for id in range(1, state.last + 1)]
            theirs = [f"theirs {id}" for id in range(1, state.have + 1)]
            self.assertEqual([entry.text for entry in ledger.entries("k")], ours)
            self.assertEqual([line.text for line in kept if line.state == WAITING], ours)
            self.assertEqual([line.text for line in kept if line.state == HEARD], theirs)

    def test_is_never_a_text_if_there_is_no_log(self) -> None:
        ledger = self.open(log=False)
        self.fill(ledger)
        self.assertEqual([one.text for one in ledger.entries(BOB)], ["", "ours 3", "ours 4", ""])
        for one in self.folder.glob("ledger.sqlite*"):
            content = one.read_bytes()
            for text in (b"ours 1", b"ours 2", b"ours 3", b"ours 4", b"hello"):
                self.assertFalse(text in content, f"{text!r} in {one}")
        ledger.close()
        again = self.open(log=False)
        self.assertEqual(
            again.entries(BOB),
            (StreamEntry(2, MSG, Wall(2.0), "", True), StreamEntry(5, TURN, Wall(5.0))),
        )
        self.assertEqual(again.state(BOB), StreamState("b0b", 5, 3, "theirs", 9, "mine"))
        again.add(BOB, "bob", message(6))
        self.assertEqual([one.id for one in again.entries(BOB)], [2, 5, 6])

    def test_is_the_earlier_log_with_no_log(self) -> None:
        ledger = self.open()
        self.fill(ledger)
        before = ledger.history(BOB, 99)
        ledger.close()
        silent = self.open(log=False)
        self.assertEqual(silent.store_incoming(BOB, "bob", message(20, "unlogged")), 0)
        self.assertEqual(silent.history(BOB, 99), before)
        silent.settle(BOB, (3,), DELIVERED)
        self.assertEqual(silent.history(BOB, 99)[2].state, DELIVERED)

    def test_is_the_new_numbering_only_for_its_key(self) -> None:
        ledger = self.open()
        self.fill(ledger)
        ledger.begin(CAROL, "ca01")
        ledger.begin(BOB, "new")
        ledger.close()
        again = self.open()
        self.assertEqual(again.state(BOB), StreamState("new", 5, 0, "theirs", 9, "mine"))
        self.assertEqual(again.state(CAROL), StreamState("ca01"))


class TheFile(FolderTests):
    """File permissions and upgrades."""

    def modes(self) -> dict[str, int]:
        return {one.name: one.stat().st_mode & 0o777 for one in self.folder.iterdir()}

    def test_is_locked_for_other_programs(self) -> None:
        former = os.umask(0)
        self.addCleanup(os.umask, former)
        ledger = self.open()
        ledger.begin(BOB, "b0b")
        names = ["ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"]
        self.assertEqual(self.modes(), dict.fromkeys(names, 0o600))

    def test_is_made_private(self) -> None:
        self.open().close()
        self.path.chmod(0o644)
        self.open().begin(BOB, "b0b")
        self.assertEqual(set(self.modes().values()), {0o600})

    def test_has_application_id_and_version(self) -> None:
        self.open().close()
        db = sqlite3.connect(self.path)
        self.addCleanup(db.close)
        self.assertEqual(db.execute("PRAGMA application_id").fetchone(), (LEDGER.application,))
        self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (len(LEDGER.steps),))
        self.assertEqual(db.execute("PRAGMA journal_mode").fetchone(), ("wal",))

    def test_has_each_word_once_in_its_index(self) -> None:
        ledger = self.open()
        ledger.begin(BOB, "b0b")
        for id in (1, 2, 3):
            ledger.store_incoming(BOB, "bob", message(id))
            self.assertEqual(len(ledger.search("text", 9)), id)
        ledger._file._db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")

    def test_takes_each_step_to_the_newest_version_once(self) -> None:
        ledger = self.open()
        ledger.begin(BOB, "b0b")
        ledger.close()
        steps = (
            *LEDGER.steps,
            "ALTER TABLE peers ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;",
            "UPDATE peers SET muted = muted + 1;",
        )
        for _ in range(2):
            db = sqlite3.connect(self.path, isolation_level=None)
            upgrade(db, self.path, replace(LEDGER, steps=steps))
            self.assertEqual(db.execute("SELECT key, muted FROM peers").fetchall(), [(BOB, 1)])
            self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (len(steps),))
            db.close()
        self.trouble(self.open, "newer")

    def test_stays_at_the_version_from_which_a_step_fails(self) -> None:
        self.open().close()
        db = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(db.close)
        steps = (*LEDGER.steps, "UPDATE meta SET value = 7; UPDATE nothing SET value = 8;")
        kind = replace(LEDGER, steps=steps)
        self.assertRaises(sqlite3.Error, upgrade, db, self.path, kind)
        self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (len(LEDGER.steps),))
        self.assertEqual(db.execute("SELECT value FROM meta WHERE name = 'shown'").fetchone(), (0,))
        self.assertFalse(db.in_transaction)
