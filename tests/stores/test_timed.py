"""A store that is timed is the same store."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.names import Names
from chatproto.directory.presences import Presences
from chatproto.directory.registry import Registry
from chatproto.rooms.history import History
from chatproto.server.tally import Tally
from chatproto.stores.open import MemoryStore
from chatproto.stores.timed import TimedStore
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import Limits
from tests.contracts.names import NamesContract, key
from tests.contracts.presences import PresencesContract
from tests.contracts.registry import RegistryContract, lease
from tests.contracts.rooms import RoomsContract
from tests.stores.sqlite_case import StoreCase


class ATimedRegistry(RegistryContract, SynchronousTestCase):
    def make(self, limits: Limits) -> Registry:
        return TimedStore(MemoryStore(limits), Tally().spent).registry


class TimedNames(NamesContract, StoreCase):
    def make(self, limits: Limits) -> Names:
        self.path = Path(self.mktemp())
        return TimedStore(self.open(limits), Tally().spent).names


class TimedPresences(PresencesContract, StoreCase):
    def make(self) -> Presences:
        return TimedStore(self.open(), Tally().spent).presences


class TimedRooms(RoomsContract, SynchronousTestCase):
    def make(self, limits: Limits) -> History:
        return TimedStore(MemoryStore(limits), Tally().spent).rooms


class TimedStoreTests(StoreCase):
    def test_every_call_is_told_with_its_part_and_its_name(self) -> None:
        tally = Tally()
        store = TimedStore(MemoryStore(), tally.spent)
        for _ in range(3):
            store.registry.keep(lease("alice"), 1.0)
        store.names.owner("alice")
        store.write_behind()
        counted = {name: sum(spent.counts) for name, spent in tally.store.items()}
        expected = {("registry", "keep"): 3, ("names", "owner"): 1, ("store", "write_behind"): 1}
        self.assertEqual(counted, expected)
        self.assertTrue(all(spent.seconds > 0 for spent in tally.store.values()))
        self.assertFalse(any(spent.failed for spent in tally.store.values()))

    def test_a_part_is_as_long_and_as_true_as_it_was(self) -> None:
        store = TimedStore(MemoryStore(), Tally().spent)
        self.assertEqual(len(store.registry), 0)
        store.registry.keep(lease("alice"), 1.0)
        self.assertEqual(len(store.registry), 1)
        self.assertTrue(store.presences)

    def test_a_failure_is_counted_and_goes_on_its_way_and_the_trouble_shows_until_it_is_over(
        self,
    ) -> None:
        tally = Tally()
        inner = self.open()
        store = TimedStore(inner, tally.spent)
        self.assertEqual(store.trouble, "")
        inner._file._db.execute("PRAGMA query_only = on")
        with self.assertRaises(StoreTrouble):
            store.names.keep("alice", key(1), 1.0)
        self.assertEqual(tally.store["names", "keep"].failed, 1)
        self.assertIn(str(self.path), store.trouble)
        inner._file._db.execute("PRAGMA query_only = off")
        store.names.keep("alice", key(1), 1.0)
        self.assertEqual(store.trouble, "")
