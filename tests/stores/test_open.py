"""The text of --store."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.open import open_store


class OpenStore(SynchronousTestCase):
    def test_opens_the_one_in_memory(self) -> None:
        self.assertIsInstance(open_store("memory:"), MemoryRegistry)

    def test_refuses_another_in_one_sentence(self) -> None:
        for text in ("", "memory", "sqlite:x", "redis://h"):
            error = self.assertRaises(ValueError, open_store, text)
            self.assertIn(repr(text), str(error))
            self.assertNotIn("\n", str(error))
