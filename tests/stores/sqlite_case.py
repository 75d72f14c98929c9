"""A test case with a store in a file of SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.stores.sqlite import SqliteStore
from chatproto.wire.errors import StoreTrouble
from tests.contracts.names import key
from tests.limits import DEFAULTS, Limits

KEY = key(99)


class StoreCase(SynchronousTestCase):
    """Opens stores, and closes what is left of them."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.told: list[str] = []
        self.store: SqliteStore | None = None
        self.addCleanup(self.close)

    def open(self, limits: Limits = DEFAULTS, key: str = KEY, **how: Any) -> SqliteStore:
        """The store, after the end of the one before."""
        self.close()
        self.store = SqliteStore(self.path, key, limits, tell=self.told.append, **how)
        return self.store

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
        self.store = None

    def refused(self, **how: Any) -> str:
        self.close()
        with self.assertRaises(StoreTrouble) as caught:
            self.open(**how)
        sentence = str(caught.exception)
        self.assertNotIn("\n", sentence)
        self.assertIn(str(self.path), sentence)
        return sentence
