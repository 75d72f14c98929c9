"""A store that is timed is the same store."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registration_store import RegistrationStore
from chatproto.directory.registry import Registry
from chatproto.rooms.history import RoomStore
from chatproto.server.counters import Counters
from chatproto.stores.open import MemoryStore
from chatproto.stores.timed import TimedDirectory, TimedStore
from chatproto.wire.errors import StoreTrouble
from tests.contracts.names import NamesContract, key
from tests.contracts.presences import PresencesContract
from tests.contracts.registry import RegistryContract, lease
from tests.contracts.rooms import RoomsContract
from tests.limits import Limits
from tests.stores.sqlite_case import StoreCase


class ATimedRegistry(RegistryContract, SynchronousTestCase):
    def make(self, limits: Limits) -> Registry:
        return TimedStore(MemoryStore(limits), Counters().spent).registry


class TimedNames(NamesContract, StoreCase):
    def make(self, limits: Limits) -> IdOwners:
        self.path = Path(self.mktemp())
        return TimedStore(self.open(limits), Counters().spent).names


class TimedPresences(PresencesContract, StoreCase):
    def make(self) -> RegistrationStore:
        return TimedStore(self.open(), Counters().spent).presences


class TimedRooms(RoomsContract, SynchronousTestCase):
    def make(self, limits: Limits) -> RoomStore:
        return TimedStore(MemoryStore(limits), Counters().spent).rooms


class TimedStoreTests(StoreCase):
    def test_every_call_is_reported_with_part_and_name(self) -> None:
        counters = Counters()
        store = TimedStore(MemoryStore(), counters.spent)
        for _ in range(3):
            store.registry.keep(lease("alice"), 1.0)
        store.names.owner("alice")
        store.write_behind()
        counted = {name: sum(spent.counts) for name, spent in counters.store.items()}
        expected = {("registry", "keep"): 3, ("names", "owner"): 1, ("store", "write_behind"): 1}
        self.assertEqual(counted, expected)
        self.assertTrue(all(spent.seconds > 0 for spent in counters.store.values()))
        self.assertFalse(any(spent.failed for spent in counters.store.values()))

    def test_timed_part_keeps_length_and_truth(self) -> None:
        store = TimedStore(MemoryStore(), Counters().spent)
        self.assertEqual(len(store.registry), 0)
        store.registry.keep(lease("alice"), 1.0)
        self.assertEqual(len(store.registry), 1)
        self.assertFalse(store.presences)

    def test_failure_is_counted_and_raised(
        self,
    ) -> None:
        counters = Counters()
        inner = self.open()
        store = TimedStore(inner, counters.spent)
        self.assertEqual(store.trouble, "")
        inner._file._db.execute("PRAGMA query_only = on")
        with self.assertRaises(StoreTrouble):
            store.names.keep("alice", key(1), 1.0)
        self.assertEqual(counters.store["names", "keep"].failed, 1)
        self.assertIn(str(self.path), store.trouble)
        inner._file._db.execute("PRAGMA query_only = off")
        store.names.keep("alice", key(1), 1.0)
        self.assertEqual(store.trouble, "")


class Written:
    """A directory whose answers are the test's."""

    def __init__(self) -> None:
        self.asked: list[Deferred[int]] = []

    async def load(self, client_id: str) -> int:
        self.asked.append(Deferred())
        return await self.asked[-1]


class TimedDirectoryTests(SynchronousTestCase):
    def test_asynchronous_call_is_timed_up_to_its_answer(self) -> None:
        counters, inner = Counters(), Written()
        store = TimedDirectory(inner, counters.spent)
        first, second = (Deferred.fromCoroutine(store.load(one)) for one in "ab")
        self.assertEqual(counters.store, {})
        inner.asked[0].callback(7)
        inner.asked[1].errback(StoreTrouble("it is away"))
        self.assertEqual(self.successResultOf(first), 7)
        self.failureResultOf(second, StoreTrouble)
        spent = counters.store["directory", "load"]
        self.assertEqual((sum(spent.counts), spent.failed), (2, 1))
