"""The text of --store."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.stores.open import MemoryStore, open_store, sqlite_path
from chatproto.stores.sqlite import SqliteStore
from tests.contracts.names import key
from tests.limits import DEFAULTS

HOME = Path("/somewhere")


class StorePlaceTests(SynchronousTestCase):
    def test_is_a_file_or_none(self) -> None:
        self.assertIsNone(sqlite_path("memory:", HOME))
        self.assertEqual(sqlite_path("sqlite:/a/b.sqlite", HOME), Path("/a/b.sqlite"))
        self.assertEqual(sqlite_path("sqlite:b", HOME), Path.cwd() / "b")
        self.assertEqual(sqlite_path("sqlite:~/b", HOME), Path.home() / "b")

    def test_is_in_the_home_by_default(self) -> None:
        self.assertEqual(sqlite_path("sqlite:", HOME), HOME / "server.sqlite")

    def test_refuses_another_in_one_sentence(self) -> None:
        for text in ("", "memory", "memory:x", "mysql://h", "sqlite"):
            error = self.assertRaises(ValueError, sqlite_path, text, HOME)
            self.assertIn(repr(text), str(error))
            self.assertNotIn("\n", str(error))

    def test_sqlite_s_own_word_for_no_file_makes_none(self) -> None:
        error = self.assertRaises(ValueError, sqlite_path, "sqlite::memory:", HOME)
        self.assertIn("write memory:", str(error))


class OpenStoreTests(SynchronousTestCase):
    def test_opens_the_named_store(self) -> None:
        for path, kind in ((None, MemoryStore), (Path(self.mktemp()), SqliteStore)):
            store = open_store(path, key(1), DEFAULTS, self.fail)
            self.assertIsInstance(store, kind)
            store.write_behind()
            store.close()
