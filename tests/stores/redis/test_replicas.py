"""Changes that wait for a replica: a real primary, and a real replica of it."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults

from chatproto.directory.shared import GroupState
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import SpokenBy
from chatproto.stores.redis import client as client_module
from chatproto.stores.redis.accounts import RedisAccounts
from chatproto.stores.redis.client import OutcomeUncertain, RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms, room_key
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.redis_process import Redis
from tests.stores.redis.case import RedisCase


class ReplicaTests(RedisCase):
    def setUp(self) -> None:
        super().setUp()
        self.redis.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        self.patch(client_module, "REPLICATED", 4.0)  # on a slow machine
        folder = Path(self.mktemp())
        folder.mkdir()
        self.replica = Redis(folder, "--replicaof", "127.0.0.1", str(self.redis.port))
        self.addCleanup(self.replica.kill)

    async def directory(self) -> RedisDirectory:
        """A store whose changes wait for one replica, which is there."""
        await self.until(
            lambda: b"master_link_status:up" in self.replica.ask("INFO", "replication")
        )
        self.place = RedisUrl(self.redis.url, replicas=1)
        self.waits = client = RedisClient(reactor, self.place)
        client.startService()
        self.addCleanup(client.stopService)
        await client.wait_connected(10.0)
        self.rooms = RedisRooms(client, 0, SERVER_DEFAULTS, self.new_token)
        return RedisDirectory(client, SERVER_DEFAULTS, self.new_token, NodeTable(10.0))

    async def put(self, directory: RedisDirectory, name: str) -> GroupState:
        state = GroupState(name, watching=frozenset({"node"}))
        return await directory.commit(GroupState(name), state, 1e6)

    async def test_acknowledged_change_is_at_the_replica(self) -> None:
        directory = await self.directory()
        names = [f"ann{number}" for number in range(20)]
        await gatherResults([ensureDeferred(self.put(directory, name)) for name in names])
        accounts = RedisAccounts(reactor, self.place)
        self.assertTrue(await accounts.put("ann", "hash"))
        await self.rooms.create(RoomPolicy("#tea", "key", version=1), 5.0)
        self.redis.kill()
        for name in names:
            self.assertIn(b"node", self.replica.ask("HGET", f"chatproto:{{i:{name}}}", "data"))
        self.assertIn(b"version", self.replica.ask("HGETALL", room_key("#tea")))
        self.assertIn(b"ann:hash", self.replica.ask("HGET", "chatproto:accounts", "ann"))

    async def test_change_without_a_replica_is_unconfirmed(self) -> None:
        self.patch(client_module, "REPLICATED", 0.2)
        directory = await self.directory()
        self.replica.signal(signal.SIGSTOP)
        uncertain = ensureDeferred(self.put(directory, "ann"))
        why = await self.assertFailure(uncertain, OutcomeUncertain)
        self.assertIn("0 replicas of Redis have the change", str(why))
        self.assertEqual((await directory.load("ann")).version, 10**12)
        accounts = RedisAccounts(reactor, self.place)
        await self.assertFailure(ensureDeferred(accounts.put("ann", "hash")), StoreTrouble)
        policy = RoomPolicy("#tea", "key", version=1)
        await self.assertFailure(ensureDeferred(self.rooms.create(policy, 5.0)), OutcomeUncertain)
        line = "ann", 5.0, "hello", SpokenBy("node", 1, 2)
        self.assertEqual(len(await self.rooms.say("#tea", 1, True, [line])), 1)
        self.patch(client_module, "REPLICATED", 4.0)
        self.replica.signal(signal.SIGCONT)
        self.assertEqual((await self.put(directory, "bob")).version, 10**12)

    async def test_a_change_of_a_former_connection_is_waited_for_too(self) -> None:
        self.patch(client_module, "REPLICATED", 0.2)
        await self.directory()
        self.replica.signal(signal.SIGSTOP)
        self.redis.ask("SET", "chatproto:other", "1")
        await self.assertFailure(ensureDeferred(self.waits.confirmed()), OutcomeUncertain)
        self.patch(client_module, "REPLICATED", 4.0)
        self.replica.signal(signal.SIGCONT)
        await self.waits.confirmed()

    async def test_forbidden_wait_command_leaves_changes_unconfirmed(self) -> None:
        directory = await self.directory()
        self.redis.ask("ACL", "SETUSER", "default", "-wait")
        why = await self.assertFailure(ensureDeferred(self.put(directory, "ann")), OutcomeUncertain)
        self.assertIn("no word of the replicas", str(why))
        self.assertEqual((await directory.load("ann")).version, 10**12)

    async def test_lost_primary_leaves_changes_unconfirmed(self) -> None:
        directory = await self.directory()
        self.replica.signal(signal.SIGSTOP)
        uncertain = ensureDeferred(self.put(directory, "ann"))
        await self.until(lambda: b"blocked_clients:1" in self.redis.ask("INFO", "clients"))
        self.redis.kill()
        await self.assertFailure(uncertain, OutcomeUncertain)
