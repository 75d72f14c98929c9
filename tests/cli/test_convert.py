"""`chatserver convert` takes the state of one server into a real Redis; without Redis they are skipped."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import convert
from chatproto.cli.options import WrongOption
from chatproto.cli.take_over import TakenOver
from chatproto.directory.shared import GroupState
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.url import RedisUrl
from chatproto.stores.sqlite import SqliteStore
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS
from tests import old
from tests.old.make_store import MADE, key
from tests.stores.redis.case import RedisCase

FILE = Path(old.__file__).parent / "store.sqlite"
"""Store of a server of commit f9d4db7."""
NOW = MADE + 100.0


class ConvertTests(RedisCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(convert, "time", SimpleNamespace(time=lambda: NOW))
        self.path = Path(self.mktemp())
        shutil.copyfile(FILE, self.path)
        self.path.chmod(0o600)

    async def begin(self) -> None:
        client = await self.client()
        limits = SERVER_DEFAULTS
        self.directory = RedisDirectory(client, limits, self.new_token, NodeTable(10.0))
        self.rooms = RedisRooms(client, 0, limits, self.new_token)

    async def convert(self) -> TakenOver:
        url = RedisUrl(self.redis.url)
        with convert.opened(self.path, SERVER_DEFAULTS) as store:
            return await convert.into_redis(reactor, url, SERVER_DEFAULTS, store)

    async def test_older_store_is_copied_completely_and_unchanged(self) -> None:
        await self.begin()
        before = self.path.read_bytes()
        self.assertEqual(await self.convert(), TakenOver(5, 1, 0))
        self.assertEqual(self.path.read_bytes(), before)
        groups = {one: await self.directory.load(one) for one in ("alice", "bob", "carol")}
        self.assertEqual([one.owner for one in groups.values()], [key(1), key(2), key(3)])
        ends = [one.presences[name].registration.until for name, one in groups.items()]
        self.assertEqual(ends, [NOW + 3600.0, MADE - 50.0 + 3600.0, MADE - 500.0 + 3600.0])
        self.assertEqual(groups["carol"].presences["carol"].registration.allow, (key(1),))
        self.assertEqual(groups["bob"].owned["bob"].until, MADE - 50 + SERVER_DEFAULTS.keep_names)
        classic = await self.directory.classics(9)
        self.assertEqual([one.client_id for one in classic], ["dave", "erin"])
        self.assertEqual((await self.directory.load("dave")).classic["dave"].heard, MADE)
        self.assertEqual([*await self.directory.reserved(key(1))], ["alice"])
        tea, _ = await self.rooms.read("#tea")
        self.assertEqual((tea.policy.owner, tea.policy.topic), (key(1), "hot"))
        self.assertEqual([*tea.policy.bans], [("address", "203.0.113.9")])
        page = await self.rooms.page("#tea", None, None, 9, 1000)
        self.assertEqual([line.text for line in page.lines], ["one", "two"])

    async def test_a_second_time_changes_nothing_that_was_changed_meanwhile(self) -> None:
        await self.begin()
        await self.convert()
        bob = await self.directory.load("bob")
        await self.directory.commit(bob, GroupState(bob.fold, bob.version), NOW)
        version = (await self.directory.load("alice")).version
        self.assertEqual(await self.convert(), TakenOver(1, 0, 5))
        self.assertEqual((await self.directory.load("alice")).version, version)
        self.assertEqual((await self.directory.load("bob")).owner, key(2))

    async def test_servers_with_another_key_are_not_mixed_in(self) -> None:
        await self.begin()
        await self.ask(self.directory._client, "SET", "chatproto:key", key(8))
        trouble = await self.assertFailure(ensureDeferred(self.convert()), StoreTrouble)
        self.assertIn(key(8), str(trouble))
        self.assertEqual(await self.directory.counts(), (0, 0))

    async def test_command_reports_its_result(self) -> None:
        await self.begin()
        home = Path(self.mktemp())
        home.mkdir()
        store = SqliteStore(home / "server.sqlite", key(9))
        store.names.keep("zoe", key(5), reactor.seconds())
        store.close()
        code = "from chatproto.cli.main import chatserver; chatserver()"
        words = ("convert", "--store", self.redis.url, "--home", str(home))
        said, wrong, ended = await getProcessOutputAndValue(
            sys.executable, ("-c", code, *words), env=None
        )
        self.assertEqual((wrong, ended), (b"", 0))
        self.assertIn(b": 1 ids, 0 rooms; there already: 0\n", said)
        self.assertEqual((await self.directory.load("zoe")).owner, key(5))


class OptionTests(SynchronousTestCase):
    def refused(self, *words: str) -> str:
        return str(self.assertRaises(WrongOption, convert.ConvertOptions().parseOptions, words))

    def test_wrong_ones_are_named(self) -> None:
        redis = ("--store", "redis://127.0.0.1:1")
        self.assertIn("--store", self.refused())
        self.assertIn("--store", self.refused("--store", "sqlite:"))
        self.assertIn("--from", self.refused(*redis, "--from", "memory:"))
        self.assertIn("--from", self.refused(*redis, "--from", "x"))
        self.assertIn("unknown word", self.refused(*redis, "x"))
        self.assertIn("nothing", self.refused(*redis, "--limits", "nothing=1"))

    def test_a_store_that_is_none_is_named(self) -> None:
        path = Path(self.mktemp())
        with self.assertRaises(StoreTrouble), convert.opened(path, SERVER_DEFAULTS):
            pass
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE x (y)")
        db.commit()
        db.close()
        with self.assertRaises(StoreTrouble), convert.opened(path, SERVER_DEFAULTS):
            pass
