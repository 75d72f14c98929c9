"""Test that each fault of an SQLite file is one sentence, and leaves the file alone."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Any

from chatproto.stores.sqlite import SERVER, SqliteStore
from chatproto.stores.sqlite_file import LOST
from chatproto.wire.errors import StoreTrouble
from tests.contracts.names import ONE, OTHER, key
from tests.contracts.presences import presence
from tests.contracts.registry import lease
from tests.contracts.rooms import TEA
from tests.stores.sqlite_case import KEY, StoreCase


class TroubleTests(StoreCase):
    """Files that cannot be used."""

    def test_belongs_to_one_server_at_a_time(self) -> None:
        self.open()
        with self.assertRaises(StoreTrouble) as caught:
            SqliteStore(self.path, KEY)
        self.assertIn("another chatserver uses", str(caught.exception))

    def test_belongs_to_one_key(self) -> None:
        self.open()
        sentence = self.refused(key=OTHER)
        self.assertIn(KEY, sentence)
        self.assertIn(OTHER, sentence)
        self.open()

    def test_of_a_newer_version_is_left_alone(self) -> None:
        self.open()
        self.close()
        self.execute(f"PRAGMA user_version = {len(SERVER.steps) + 1}")
        before = self.path.read_bytes()
        self.assertIn("a newer chatserver", self.refused())
        self.assertEqual(self.path.read_bytes(), before)

    def test_of_an_older_version_is_upgraded_with_its_data(self) -> None:
        for version in range(1, len(SERVER.steps)):
            self.path = Path(self.mktemp())
            other = sqlite3.connect(self.path)
            for step in SERVER.steps[:version]:
                other.executescript(step)
            other.execute(f"PRAGMA application_id = {SERVER.application}")
            other.execute(f"PRAGMA user_version = {version}")
            other.execute(
                "INSERT INTO names (client_id, fold, key, used) VALUES ('alice', 'allce', ?, 1.0)",
                (ONE,),
            )
            other.commit()
            other.close()
            store = self.open()
            self.assertEqual(store.names.owner("alice"), ONE)
            store.rooms.keep(TEA)
            self.assertEqual(list(self.open().rooms.rooms()), [TEA])

    def test_of_another_program_is_left_alone(self) -> None:
        self.execute("CREATE TABLE recipes (name TEXT)")
        self.path.chmod(0o644)
        before = self.path.read_bytes()
        self.assertIn("another program", self.refused())
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o644)

    def test_file_that_is_no_database(self) -> None:
        self.path.write_text("Dear diary,\n" * 100)
        self.path.chmod(0o644)
        self.assertIn("not an SQLite file", self.refused())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o644)

    def test_file_that_was_cut_short(self) -> None:
        store = self.open()
        for number in range(2000):
            store.names.keep(f"c{number}", ONE, 0.0)
        self.close()
        size = self.path.stat().st_size
        os.truncate(self.path, size - size // 3)
        self.assertIn("damaged", self.refused())

    def test_with_a_page_of_rubbish_in_it(self) -> None:
        store = self.open()
        for number in range(2000):
            store.names.keep(f"c{number}", ONE, 0.0)
        self.close()
        with self.path.open("r+b") as file:
            file.seek(self.path.stat().st_size // 2 // 4096 * 4096)
            file.write(b"\xa5" * 4096)
        self.assertIn("damaged", self.refused())

    def test_in_a_missing_folder(self) -> None:
        self.path = self.path / "nowhere" / "server.sqlite"
        self.assertIn("No such file", self.refused())

    def test_folder_instead_of_a_file(self) -> None:
        self.path.mkdir()
        self.path.chmod(0o1777)
        self.refused()
        self.assertEqual(self.path.stat().st_mode & 0o7777, 0o1777)

    def test_file_of_another_program(self) -> None:
        store = self.open()
        store.names.keep("alice", ONE, 0.0)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            self.assertRaises(StoreTrouble, store.names.keep, "bob", ONE, 1.0)
            self.assertRaises(StoreTrouble, store.registry.keep, lease("carol"), 1.0)
        self.assertEqual(store.names.owner("alice"), ONE)
        self.assertEqual((store.names.owner("bob"), len(store.registry)), (None, 0))
        self.assertEqual((store.names.expire(9.0), store.registry.expire(9.0)), (0, 0))
        (told,) = self.told
        self.assertIn("another program is writing it", told)
        other.execute("ROLLBACK")
        store.names.keep("bob", ONE, 1.0)
        self.assertIn("can be written again", self.told[1])

    def test_removed_or_replaced_refuses_writes_until_restored(self) -> None:
        store = self.open()
        aside = self.path.with_name("aside")
        for replace in (False, True):
            store.names.keep("alice", ONE, 0.0)
            self.path.rename(aside)
            if replace:
                self.path.write_bytes(b"")
            store.write_behind()
            store.write_behind()
            self.assertIn("it was removed or replaced", store.trouble)
            self.assertRaises(StoreTrouble, store.names.keep, "bob", ONE, 1.0)
            self.assertRaises(StoreTrouble, store.registry.keep, lease("late"), 1.0)
            self.assertEqual(store.names.owner("alice"), ONE)
            aside.rename(self.path)
            store.write_behind()
            self.assertEqual(store.trouble, "")
            self.assertEqual([told.split(": ")[-1] for told in self.told[::2]], [LOST])
            self.assertIn("can be written again", self.told[1])
            self.told.clear()
        store.names.keep("bob", ONE, 1.0)
        self.assertEqual(self.open().names.owner("bob"), ONE)

    def test_on_a_full_disk_loses_nothing_and_recovers(self) -> None:
        store = self.open()
        store.registry.keep(lease("alice"), 0.0)
        store.names.keep("alice", ONE, 0.0)
        kept = 0
        with self.full(Path(f"{self.path}-wal").stat().st_size + 100_000):
            with self.assertRaises(StoreTrouble):
                for number in range(1000):
                    store.names.keep(f"name{number}", key(number), 1.0)
                    kept = number + 1
            self.assertRaises(StoreTrouble, store.registry.keep, lease("late"), 1.0)
            self.assertRaises(StoreTrouble, store.presences.commit, presence("late"), 0.0)
            self.assertRaises(StoreTrouble, store.registry.forget, "alice")
            store.registry.touch("alice", 2.0)
            store.write_behind()
        self.assertGreater(kept, 0)
        store.registry.keep(lease("late"), 2.0)
        store = self.open()
        self.assertEqual([one.client_id for one in store.registry.listed(9)], ["alice", "late"])
        self.assertEqual(store.registry.heard_at("alice"), 2.0)
        names = [f"name{number}" for number in range(1000)]
        self.assertEqual(sum(store.names.owner(name) is not None for name in names), kept)
        self.assertIn("again", self.told[-1])

    def full(self, size: int) -> Any:
        """No file may grow beyond `size`, as if the disk were full."""
        case = self

        class Full:
            def __enter__(self) -> None:
                self.limit = resource.getrlimit(resource.RLIMIT_FSIZE)
                self.former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, self.limit[1]))
                case.addCleanup(self.__exit__)

            def __exit__(self, *_: object) -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, self.limit)
                signal.signal(signal.SIGXFSZ, self.former)

        return Full()

    def execute(self, query: str) -> None:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute(query)
        other.close()

    def test_is_the_owner_s_alone(self) -> None:
        self.open()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)

    def test_file_readable_by_others_is_made_private(self) -> None:
        self.open()
        self.close()
        self.path.chmod(0o644)
        self.open()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
