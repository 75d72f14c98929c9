"""The store in a file of SQLite: what it keeps, over its end too, and how it says that it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registration_store import MemoryRegistrations, RegistrationStore
from chatproto.directory.registrations import Registration
from chatproto.directory.registry import Registry
from chatproto.rooms.history import RoomStore
from chatproto.stores import sqlite_presences
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.stores.sqlite import SqliteStore
from chatproto.wire.errors import RemoteError, StoreTrouble
from tests.contracts.names import ONE, NamesContract, key
from tests.contracts.presences import PresencesContract, presence
from tests.contracts.registry import RegistryContract, lease
from tests.contracts.rooms import NOW, TEA, RoomsContract
from tests.limits import Limits
from tests.stores.sqlite_case import StoreCase


class ARegistryInSqlite(RegistryContract, StoreCase):
    def make(self, limits: Limits) -> Registry:
        return self.open(limits).registry


class NamesInSqlite(NamesContract, StoreCase):
    def make(self, limits: Limits) -> IdOwners:
        self.path = Path(self.mktemp())
        return self.open(limits).names


class PresencesInSqlite(PresencesContract, StoreCase):
    def make(self) -> RegistrationStore:
        return self.open().presences


class PresencesInSqliteOfASecondServer(PresencesInSqlite):
    """The same with the file closed and opened between any two calls."""

    def make(self) -> RegistrationStore:
        case = self

        class Reopened:
            now = 0.0

            def __getattr__(self, name: str) -> Any:
                presences = case.open().presences
                presences.expire(self.now, 0)
                return getattr(presences, name)

            def __len__(self) -> int:
                return len(case.open().presences)

            def expire(self, now: float, most: int = 100) -> bool:
                self.now = now
                return case.open().presences.expire(now, most)

        return Reopened()


class RoomsInSqlite(RoomsContract, StoreCase):
    def make(self, limits: Limits) -> RoomStore:
        self.path = Path(self.mktemp())
        return self.open(limits).rooms


class RoomsInSqliteOfASecondServer(RoomsContract, StoreCase):
    """The same with the file closed and opened between any two calls."""

    def make(self, limits: Limits) -> RoomStore:
        self.path = Path(self.mktemp())
        case = self

        class Reopened:
            def __getattr__(self, name: str) -> Any:
                return getattr(case.open(limits).rooms, name)

        return Reopened()


IDS = ("alice", "Alice", "bob", "b0b", "carol", "dave")
ids = st.sampled_from(IDS)
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
registration_steps = st.lists(
    st.one_of(
        st.tuples(
            *(st.just("commit"), ids, st.integers(1, 2), st.sampled_from([5, 20]), st.booleans()),
            st.sets(ids, max_size=2),
        ),
        st.tuples(st.sampled_from(["left", "left", "forget"]), ids),
        st.tuples(st.just("expire"), st.sampled_from([0, 3, 20]), st.sampled_from([1, 100])),
        st.tuples(st.sampled_from(["behind", "behind", "reopen", "kill"])),
    ),
    max_size=40,
)
room_steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["#tea", "#mud"]), st.booleans()),
        st.tuples(st.just("expire"), st.integers(0, 30)),
        st.tuples(st.just("forget"), st.sampled_from(["#tea", "#mud"])),
        st.tuples(st.just("reopen")),
    ),
    max_size=30,
)


def registrations(some: Iterable[Registration]) -> list[tuple[Any, ...]]:
    """All that a store keeps of them."""
    return [
        (one.client_id, one.key, one.port, one.expires, one.listed, one.allow, one.until)
        for one in some
    ]


LIMITS = Limits(registrations=4, registrations_per_address=2, names=4, room_history=5)


class AgreementTests(StoreCase):
    """SQLite agrees with memory after any operations, over restarts too."""

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

    def shown(self, registry: Registry) -> list[tuple[ClassicRegistration, str, float]]:
        leases = [*registry.listed(100)]
        return [(one, one.host, registry.heard_at(one.client_id)) for one in leases]

    @settings(deadline=None)
    @given(name_steps)
    def test_of_names(self, some: list[tuple[Any, ...]]) -> None:
        store, model = self.fresh(), MemoryNames()
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

    @settings(deadline=None)
    @given(registration_steps)
    @example(
        [
            ("commit", "alice", 1, 5, False, set()),
            ("reopen",),
            ("expire", 3, 1),
            ("expire", 0, 1),
            ("commit", "bob", 1, 5, False, set()),
            ("kill",),
        ]
    )
    def test_of_registrations(self, some: list[tuple[Any, ...]]) -> None:
        """Whether the server ends or is killed: a kill may only have those who left stay longer.

        Of those the end may not be in the file yet, also if it has passed.
        """
        self.patch(sqlite_presences, "BATCH", 2)
        store, names, now = self.fresh(), MemoryNames(), 0.0
        model = MemoryRegistrations(names)
        ended: set[str] = set()
        for what, *how in some:
            now += 1.0
            match what:
                case "commit":
                    client_id, number, expires, listed, gone = how
                    for one in (store.presences, model):
                        made = presence(
                            client_id, number, expires=expires, listed=listed, allow=(ONE,)
                        )
                        one.commit(made, now, gone=gone - {client_id})
                    ended -= {client_id, *gone}
                case "left":
                    found = model.find(how[0])
                    if found is not None and found.connected:
                        for one in (store.presences, model):
                            one.left(found.left(now))
                case "forget":
                    for one in (store.presences, model):
                        one.forget(how[0])
                    ended.discard(how[0])
                case "expire":
                    now += how[0]
                    before = {one.client_id for one in model.all()}
                    for one in (store.presences, model):
                        one.expire(now, how[1])
                    ended |= before - {one.client_id for one in model.all()}
                case "behind":
                    store.write_behind()
                case "reopen" | "kill":
                    if what == "kill":
                        store._file.close()
                        self.store = None
                    store = self.open(LIMITS)
                    store.presences.all_left(now)
                    model.all_left(now)
                    if what == "kill":
                        for longer in tuple(store.presences.all()):
                            known = model.find(longer.client_id)
                            assert longer.until is not None
                            if known is None:
                                self.assertIn(longer.client_id, ended)
                            else:
                                assert known.until is not None
                                self.assertLessEqual(known.until, longer.until)
                            self.assertLessEqual(longer.until, now + longer.expires)
                            model.put(longer)
                    for one in (store.presences, model):
                        one.expire(now)
            everybody = sorted(model.all(), key=lambda one: one.client_id)
            self.assertEqual(registrations(store.presences.all()), registrations(everybody))
            for client_id in IDS:
                same = [one.find(client_id) for one in (store.presences, model)]
                self.assertEqual(*(registrations([one] if one else []) for one in same))
                self.assertEqual(store.names.hidden(client_id), names.hidden(client_id))
                self.assertEqual(store.names.owner(client_id), names.owner(client_id))
        store.presences.expire(now + 1e6)
        while store.write_behind():
            pass
        connected = [one for one in model.all() if one.connected]
        store.presences.expire(now + 1e6)
        self.assertEqual(len(store.presences), len(connected))

    @settings(deadline=None)
    @given(room_steps)
    def test_of_rooms(self, some: list[tuple[Any, ...]]) -> None:
        store, model = self.fresh(), MemoryRooms(LIMITS)
        for now, (what, *how) in enumerate(some, 1):
            match what:
                case "say":
                    room, keep = how
                    said = room, "alice", NOW + now, f"{now}", keep
                    self.assertEqual(store.rooms.append(*said), model.append(*said))
                case "expire":
                    gone = store.rooms.expire(NOW + how[0]), model.expire(NOW + how[0])
                    self.assertEqual(*gone)
                case "forget":
                    store.rooms.forget(how[0])
                    model.forget(how[0])
                case "reopen":
                    store = self.open(LIMITS)
            for room in ("#tea", "#mud"):
                last = model.last(room)
                self.assertEqual(store.rooms.last(room), last)
                for number in range(max(0, last - 7), last + 3):
                    for where in ((number, None), (None, number)):
                        pages = (self.page(one, room, *where) for one in (store.rooms, model))
                        self.assertEqual(*pages)

    def page(self, rooms: RoomStore, room: str, after: int | None, before: int | None) -> object:
        try:
            return rooms.page(room, after, before, 2, 1000)
        except RemoteError as error:
            return error.status


class LastingTests(StoreCase):
    """Restarts of a server."""

    def test_leases_are_restored_without_connections(self) -> None:
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

    def test_times_of_last_requests_are_written_a_bounded_number_at_a_time(self) -> None:
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

    def test_unchanged_registration_writes_nothing(self) -> None:
        store = self.open()
        other = sqlite3.connect(self.path)
        self.addCleanup(other.close)

        known: list[int] = [-1]

        def writes(expected: bool) -> None:
            (version,) = other.execute("PRAGMA data_version").fetchone()
            self.assertEqual(version != known[-1], expected)
            known.append(version)

        writes(True)
        for host, other_host, local in (
            ("192.0.2.1", "192.0.2.1", False),
            ("127.0.0.1", "127.0.0.2", True),
        ):
            store.registry.keep(
                ClassicRegistration("alice", "10.0.0.1", 1, Origin(host, 8, local)), 0.0
            )
            store.write_behind()
            writes(True)
            store.registry.keep(
                ClassicRegistration("alice", "10.0.0.1", 1, Origin(other_host, 9, local)), 0.0
            )
            store.write_behind()
            writes(False)

    def test_registration_from_another_address_survives(self) -> None:
        store = self.open()
        for host, local in (("192.0.2.1", False), ("192.0.2.2", False), ("127.0.0.1", True)):
            store.registry.keep(
                ClassicRegistration("alice", "10.0.0.1", 1, Origin(host, 9, local)), 0.0
            )
            store = self.open()
            found = store.registry.find("alice")
            assert found is not None
            self.assertEqual(found.host, host)

    def test_the_clock_may_be_set_back(self) -> None:
        store = self.open()
        store.registry.keep(lease("alice"), 100.0)
        store.write_behind()
        store.registry.touch("alice", 5.0)
        store.write_behind()
        self.assertEqual(self.rows("SELECT heard FROM leases"), [(5.0,)])

    def test_a_smaller_limit_lets_the_longest_silent_go_and_no_owned_id(self) -> None:
        store = self.open()
        for now, name in enumerate(("alice", "bob", "carol")):
            store.registry.keep(lease(name), float(now))
            store.names.keep(name, ONE, float(now))
        store.registry.touch("alice", 5.0)
        for _ in range(2):
            store = self.open(Limits(registrations=2, names=2))
            leases = [one.client_id for one in store.registry.listed(9)]
            self.assertEqual(leases, ["alice", "carol"])
            self.assertEqual(store.names.owned(ONE), ("alice", "bob", "carol"))

    def test_everything_is_committed_when_a_call_returns(self) -> None:
        """Another process sees it at once, and so it outlives ours."""
        store = self.open()
        store.registry.keep(lease("alice"), 0.0)
        store.names.keep("bob", ONE, 0.0)
        store.presences.commit(presence("bob"), 0.0)
        store.rooms.keep(TEA)
        store.rooms.append("#tea", "bob", NOW, "hello")
        store.rooms.settle()
        for table in ("leases", "names", "presences", "rooms", "room_numbers", "lines"):
            self.assertEqual(self.rows(f"SELECT count(*) FROM {table}"), [(1,)])

    def test_an_id_and_its_registration_are_written_together_or_not_at_all(self) -> None:
        store = self.open()
        store.presences.commit(presence("alice"), 0.0)
        for table in ("presences", "hidden", "names"):
            self.rows(f"ALTER TABLE {table} RENAME TO aside")
            with self.assertRaises(StoreTrouble):
                store.presences.commit(presence("bob", listed=False), 1.0, gone=("alice",))
            self.rows(f"ALTER TABLE aside RENAME TO {table}")
            self.assertEqual((len(store.names), len(store.presences)), (1, 1))
            self.assertIsNone(store.names.owner("bob"))
            self.assertIsNone(store.names.hidden("bob"))
            self.assertIsNone(store.presences.find("bob"))
            self.assertIsNotNone(store.presences.find("alice"))

    def test_messages_of_a_turn_are_stored_together_or_refused(self) -> None:
        rooms = self.open().rooms
        first = rooms.append("#tea", "bob", NOW, "0")
        rooms.settle()
        rooms.append("#tea", "bob", NOW, "1")
        rooms.append("#mud", "bob", NOW, "2")
        self.rows("ALTER TABLE lines RENAME TO aside")
        self.assertRaises(StoreTrouble, rooms.settle)
        self.rows("ALTER TABLE aside RENAME TO lines")
        self.assertEqual((rooms.last("#tea"), rooms.last("#mud")), (first, 0))
        rooms.settle()
        self.assertEqual(rooms.append("#tea", "bob", NOW, "3"), first + 1)
        self.assertEqual(rooms.append("#tea", "bob", NOW, "4"), first + 2)
        rooms.settle()
        texts = self.rows("SELECT text FROM lines ORDER BY number")
        self.assertEqual(texts, [("0",), ("3",), ("4",)])

    def test_unsettled_messages_are_stored_at_the_end(self) -> None:
        self.open().rooms.append("#tea", "bob", NOW, "hello")
        self.close()
        self.assertEqual(self.rows("SELECT text FROM lines"), [("hello",)])

    def test_excess_history_is_removed_soon_and_never_shown(self) -> None:
        limits = Limits(room_history=3)
        for number in range(200):
            rooms = self.open(limits).rooms
            last = rooms.append("#tea", "bob", NOW, f"{number}")
            lines = rooms.page("#tea", None, None, 1000, 2**20).lines
            self.assertLessEqual(len(lines), 3)
            self.assertEqual(lines[-1].number, last)
        ((kept,),) = self.rows("SELECT count(*) FROM lines")
        self.assertLess(kept, 3 + 64)

    def test_durable_store_flushes_acknowledged_writes_only(self) -> None:
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
