"""Test that a store of commit f9d4db7, whose server was killed, is taken over whole."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.policy import BanRecord
from chatproto.stores.sqlite import STEPS, SqliteStore
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests import old
from tests.old.make_store import MADE, key

FILE = Path(old.__file__).parent / "store.sqlite"
NOW = MADE + 100.0
"""When the new server begins."""


class OldStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        shutil.copyfile(FILE, self.path)
        self.path.chmod(0o600)

    def open(self) -> SqliteStore:
        store = SqliteStore(self.path, key(9), now=lambda: NOW)
        self.addCleanup(store.close)
        store.presences.all_left(NOW)
        store.presences.expire(NOW)
        return store

    def test_older_format_is_upgraded(self) -> None:
        for version in (2, len(STEPS)):
            db = sqlite3.connect(self.path)
            self.assertEqual(db.execute("PRAGMA user_version").fetchall(), [(version,)])
            db.close()
            SqliteStore(self.path, key(9)).close()

    def test_ids_stay_with_their_keys(self) -> None:
        names = self.open().names
        owners = [names.owner(one) for one in ("alice", "B0b", "carol", "dave")]
        self.assertEqual(owners, [key(1), key(2), key(3), None])
        self.assertEqual((len(names), names.owned(key(2))), (3, ("bob",)))

    def test_registrations_keep_their_expiry(self) -> None:
        store = self.open()
        found = [store.presences.find(one) for one in ("alice", "bob", "carol", "dave")]
        ends = [one and one.until for one in found]
        self.assertEqual(ends, [NOW + 3600.0, MADE - 50.0 + 3600.0, MADE - 500.0 + 3600.0, None])
        carol = found[2]
        assert carol is not None
        self.assertEqual((carol.listed, carol.allow), (False, (key(1),)))
        self.assertEqual(carol.client.address, ("192.0.2.3", 40003))
        self.assertEqual(len(store.presences), 3)

    def test_classic_clients_are_found_in_their_order(self) -> None:
        registry = self.open().registry
        self.assertEqual([one.client_id for one in registry.listed(9)], ["dave", "erin"])
        self.assertEqual([registry.heard_at(one) - MADE for one in ("dave", "erin")], [0.0, -1.0])
        free = registry.last_free("nobody")
        self.assertEqual(free and (free.client_id, free.host), ("dave", "198.51.100.0"))

    def test_rooms_have_their_roles_and_history(self) -> None:
        rooms = self.open().rooms
        [room] = rooms.rooms()
        self.assertEqual((room.name, room.owner, room.topic), ("#tea", key(1), "hot"))
        self.assertEqual((room.ops, room.mutes), ({key(2): MADE + 600.0}, {key(3): MADE + 60.0}))
        ban = BanRecord("address", "203.0.113.9", MADE + 900.0)
        self.assertEqual(list(room.bans.values()), [ban])
        lines = rooms.page("#tea", None, None, 9, 1000).lines
        self.assertEqual(
            [(one.sender, one.text) for one in lines], [("alice", "one"), ("alice", "two")]
        )

    def test_directory_knows_the_stored_clients(self) -> None:
        store = self.open()
        directory = KeyedDirectory(store.names, store.registry, str, presences=store.presences)
        directory.resume(NOW)
        stranger = ClientConnection(key(7), "192.0.2.7", 1)
        directory.answer(bcp2_server.Register(1, "frank", 5000), stranger, NOW)
        statuses = []
        for name in ("alice", "bob", "carol", "nobody"):
            [effect] = directory.answer(bcp2_server.Bridge(2, name), stranger, NOW)
            assert isinstance(effect.message, Error)
            statuses.append(effect.message.status)
        self.assertEqual(statuses, [480, 480, 404, 404])
        [effect, *_] = directory.answer(bcp2_server.Register(3, "alice", 5000), stranger, NOW)
        self.assertEqual(effect.message, Error(409, 3))
        alice = ClientConnection(key(1), "192.0.2.1", 1)
        [effect, *_] = directory.answer(bcp2_server.Register(4, "alice", 5000), alice, NOW)
        self.assertIsInstance(effect.message, bcp2_server.RegAck)
