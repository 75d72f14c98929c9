"""The store in a file of SQLite: what it keeps, over its end too, and how it says that it cannot."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.lease import Lease
from chatproto.directory.names import Names
from chatproto.directory.presences import Presences
from chatproto.directory.registry import Registry
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.sqlite import SERVER, SqliteStore
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import DEFAULTS, Limits
from tests.contracts.names import ONE, OTHER, NamesContract, key
from tests.contracts.presences import PresencesContract, presence
from tests.contracts.registry import RegistryContract, lease

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


class ARegistryInSqlite(RegistryContract, StoreCase):
    def make(self, limits: Limits) -> Registry:
        return self.open(limits).registry


class NamesInSqlite(NamesContract, StoreCase):
    def make(self, limits: Limits) -> Names:
        self.path = Path(self.mktemp())
        return self.open(limits).names


class PresencesInSqlite(PresencesContract, StoreCase):
    def make(self) -> Presences:
        return self.open().presences


class PresencesInSqliteOfASecondServer(PresencesInSqlite):
    """The same with the file closed and opened between any two calls."""

    def make(self) -> Presences:
        case = self

        class Reopened:
            def __getattr__(self, name: str) -> Any:
                return getattr(case.open().presences, name)

        return Reopened()


ids = st.sampled_from(["alice", "Alice", "bob", "b0b", "carol", "dave"])
hosts = st.sampled_from(["192.0.2.1", "192.0.2.2", "127.0.0.1"])
registry_steps = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), ids, hosts, st.integers(1, 2)),
        st.tuples(st.sampled_from(["touch", "forget"]), ids),
        st.tuples(st.just("expire"), st.integers(0, 30)),
        st.tuples(st.just("behind")),
        st.tuples(st.just("reopen")),
    ),
    max_size=30,
)
name_steps = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), ids, st.integers(1, 3)),
        st.tuples(st.just("free"), ids),
        st.tuples(st.just("expire"), st.integers(0, 30)),
        st.tuples(st.just("reopen")),
    ),
    max_size=30,
)
LIMITS = Limits(registrations=4, registrations_per_address=2, names=4)


class AgreementTests(StoreCase):
    """It does what the store in memory does, whatever is done, over its end too."""

    def fresh(self) -> SqliteStore:
        self.close()
        self.path = Path(self.mktemp())
        return self.open(LIMITS)

    @settings(deadline=None)
    @given(registry_steps)
    def test_of_leases(self, some: list[tuple[Any, ...]]) -> None:
        store, model = self.fresh(), MemoryRegistry(LIMITS)
        for now, (what, *how) in enumerate(some, 1):
            match what:
                case "keep":
                    client_id, host, port = how
                    for one in (store.registry, model):
                        one.keep(lease(client_id, host, port), float(now))
                case "touch":
                    for one in (store.registry, model):
                        one.touch(how[0], float(now))
                case "forget":
                    self.assertEqual(store.registry.forget(how[0]), model.forget(how[0]))
                case "expire":
                    gone = store.registry.expire(float(how[0])), model.expire(float(how[0]))
                    self.assertEqual(*gone)
                case "behind":
                    store.write_behind()
                case "reopen":
                    store = self.open(LIMITS)
            self.assertEqual(self.shown(store.registry), self.shown(model))

    def shown(self, registry: Registry) -> list[tuple[Lease, str, float]]:
        leases = registry.listed(100)
        return [(one, one.host, registry.heard_at(one.client_id)) for one in leases]

    @settings(deadline=None)
    @given(name_steps)
    def test_of_names(self, some: list[tuple[Any, ...]]) -> None:
        store, model = self.fresh(), MemoryNames(LIMITS)
        for now, (what, *how) in enumerate(some, 1):
            match what:
                case "keep":
                    for one in (store.names, model):
                        one.keep(how[0], key(how[1]), float(now))
                case "free":
                    self.assertEqual(store.names.free(how[0]), model.free(how[0]))
                case "expire":
                    gone = store.names.expire(float(how[0])), model.expire(float(how[0]))
                    self.assertEqual(*gone)
                case "reopen":
                    store = self.open(LIMITS)
            for number in range(1, 4):
                owned = store.names.owned(key(number)), model.owned(key(number))
                self.assertEqual(*(sorted(one) for one in owned))


class LastingTests(StoreCase):
    """What the next server finds."""

    def test_leases_are_where_they_were_with_nobody_there(self) -> None:
        registry = self.open().registry
        for now, name in enumerate(("alice", "bob", "carol")):
            registry.keep(lease(name, f"192.0.2.{now}"), float(now))
        registry.keep(lease("dave", "127.0.0.1", key=ONE), 3.0)
        registry.forget("bob")
        registry.touch("alice", 9.0)
        registry = self.open().registry
        self.assertEqual([one.client_id for one in registry.listed(9)], ["alice", "carol", "dave"])
        self.assertEqual([registry.heard_at(one) for one in ("alice", "carol")], [9.0, 2.0])
        found = registry.find("alice")
        assert found is not None
        self.assertEqual((found, found.host), (lease("alice", "192.0.2.0"), "192.0.2.0"))
        self.assertFalse(found.source.alive or found.source.local)
        keyed = registry.find("dave")
        assert keyed is not None
        self.assertEqual((keyed.key, keyed.source.local), (ONE, True))
        free = registry.last_free("x")
        self.assertEqual(free and free.client_id, "alice")

    def test_who_was_heard_of_comes_to_the_file_a_bounded_number_at_a_time(self) -> None:
        self.patch(
            __import__("chatproto.stores.sqlite_registry").stores.sqlite_registry, "BATCH", 2
        )
        store = self.open()
        for name in ("alice", "bob", "carol"):
            store.registry.keep(lease(name), 0.0)
        store.write_behind()
        store.write_behind()
        for now, name in enumerate(("alice", "bob", "carol"), 1):
            store.registry.touch(name, float(now))
        for expected in (2, 3, 3):
            store.write_behind()
            heard = self.rows("SELECT count(*) FROM leases WHERE heard > 0")
            self.assertEqual(heard, [(expected,)])

    def test_silence_writes_nothing(self) -> None:
        store = self.open()
        store.registry.keep(lease("alice"), 0.0)
        store.write_behind()
        before = self.wal()
        store.write_behind()
        store.registry.keep(lease("alice"), 0.0)  # says nothing new
        self.assertEqual(self.wal(), before)

    def test_the_clock_may_be_set_back(self) -> None:
        store = self.open()
        store.registry.keep(lease("alice"), 100.0)
        store.write_behind()
        store.registry.touch("alice", 5.0)
        store.write_behind()
        self.assertEqual(self.rows("SELECT heard FROM leases"), [(5.0,)])

    def test_a_smaller_limit_lets_the_longest_silent_go(self) -> None:
        store = self.open()
        for now, name in enumerate(("alice", "bob", "carol")):
            store.registry.keep(lease(name), float(now))
            store.names.keep(name, ONE, float(now))
        store.registry.touch("alice", 5.0)
        for _ in range(2):
            store = self.open(Limits(registrations=2, names=2))
            leases = [one.client_id for one in store.registry.listed(9)]
            self.assertEqual(leases, ["alice", "carol"])
            self.assertEqual(store.names.owned(ONE), ("bob", "carol"))

    def test_everything_is_committed_when_a_call_returns(self) -> None:
        """Another process sees it at once, and so it outlives ours."""
        store = self.open()
        store.registry.keep(lease("alice"), 0.0)
        store.names.keep("bob", ONE, 0.0)
        store.presences.keep(presence("bob"))
        for table in ("leases", "names", "presences"):
            self.assertEqual(self.rows(f"SELECT count(*) FROM {table}"), [(1,)])

    def test_a_durable_one_asks_the_disk_for_what_is_acknowledged_alone(self) -> None:
        self.assertEqual(self.synced(durable=False), 1)
        self.assertEqual(self.synced(durable=True), 2)

    def synced(self, durable: bool) -> int:
        store = self.open(durable=durable)
        store.names.keep("alice", ONE, 0.0)
        store.names.keep("alice", ONE, 1.0)
        ((level,),) = store._file.read("PRAGMA synchronous")
        return int(level)

    def rows(self, query: str) -> list[Any]:
        other = sqlite3.connect(self.path)
        try:
            return other.execute(query).fetchall()
        finally:
            other.close()

    def wal(self) -> int:
        return Path(f"{self.path}-wal").stat().st_size


class TroubleTests(StoreCase):
    """What cannot be used says so in one sentence, and stays as it is."""

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

    def test_of_another_program_is_left_alone(self) -> None:
        self.execute("CREATE TABLE recipes (name TEXT)")
        before = self.path.read_bytes()
        self.assertIn("another program", self.refused())
        self.assertEqual(self.path.read_bytes(), before)

    def test_that_is_no_database(self) -> None:
        self.path.write_text("Dear diary,\n" * 100)
        self.assertIn("no file of SQLite", self.refused())

    def test_that_was_cut_short(self) -> None:
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

    def test_in_a_folder_that_is_not_there(self) -> None:
        self.path = self.path / "nowhere" / "server.sqlite"
        self.assertIn("No such file", self.refused())

    def test_that_is_a_folder(self) -> None:
        self.path.mkdir()
        self.refused()

    def test_that_another_program_writes(self) -> None:
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

    def test_on_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(self) -> None:
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
            self.assertRaises(StoreTrouble, store.presences.keep, presence("late"))
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
