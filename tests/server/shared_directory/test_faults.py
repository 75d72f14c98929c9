"""Redis that is away, emptied, slow or poisoned, at several servers over a real Redis."""

from __future__ import annotations

from typing import Any

from chatproto.directory.shared_store import GroupChanged
from chatproto.wire import bcp2_server
from chatproto.wire.classic import (
    ClassicError,
    ClassicInfo,
)
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.server.shared_directory.hall import HallCase
from tests.stores.redis.lossy import Lossy

Register = bcp2_server.Register
Bridge = bcp2_server.Bridge
Watch = bcp2_server.Watch
RegAck = bcp2_server.RegAck
Presence = bcp2_server.Presence


class FaultTests(HallCase):
    async def test_unreachable_redis_is_503_and_loses_nothing(self) -> None:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        await alice.register()
        self.redis.kill()
        await self.until(lambda: bool(one.client.why and two.client.why))
        answer = await bob.register()
        self.assertEqual((answer.status, answer.retry_after), (503, 2))
        self.assertEqual(await one.caller().register("ann"), ClassicError(503))
        self.assertEqual((await alice.register()).status, 503)
        alice.leave()
        self.redis.start()
        await self.until(lambda: not two.client.why)
        await bob.register()
        await one.settled()
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 480)

    async def test_requests_are_refused_before_the_first_beat(self) -> None:
        one = await self.server("node0", beat=False)
        alice, classic = one.person("alice", 1), one.caller()
        self.assertEqual((await alice.register()).status, 503)
        self.assertEqual(await classic.register("classic"), ClassicError(503))
        self.assertEqual((await one.store.load("alice")).version, 0)
        await one.beats.beat()
        self.assertIsInstance(await alice.register(), bcp2_server.RegAck)

    async def test_a_lost_reply_then_the_retry_registers_once(self) -> None:
        lossy = Lossy(self.redis.port)
        self.addCleanup(lossy.close)
        one = await self.server("node0", lossy.url)
        two = await self.server("node1")
        alice = one.person("alice", 1)
        await alice.register()
        load = one.store.load

        async def then_mute(client_id: str) -> Any:
            found = await load(client_id)
            lossy.mute = True
            return found

        self.patch(one.store, "load", then_mute)
        cseq = alice.ask(Register, "alice", 5001)
        while (await two.store.load("alice")).version < 2:
            await self.wait(0.01)
        self.patch(one.store, "load", load)
        bob = two.person("bob", 2)
        await bob.register()
        await bob.answer(Watch, "alice")  # another writer
        lossy.mute = False
        lossy.cut()
        self.assertIsInstance(await alice.answered(cseq), RegAck)
        found = (await two.store.load("alice")).presences["alice"]
        self.assertEqual(found.registration.port, 5001)

    async def test_a_group_that_changes_all_the_time_is_503(self) -> None:
        one, _ = await self.servers()

        async def changed(*_: Any) -> None:
            raise GroupChanged

        self.patch(one.store, "commit", changed)
        self.assertEqual((await one.person("alice", 1).register()).status, 503)

    async def test_too_many_pending_requests_are_503(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["log-waiting=1"])
        one, _ = await self.servers()
        first, second = one.person("alice", 1), one.person("bob", 2)
        cseq = first.ask(Register, "alice", 5000)
        self.assertEqual((await second.register()).status, 503)
        self.assertIsInstance(await first.answered(cseq), RegAck)

    async def test_emptied_redis_is_filled_with_connected_clients(self) -> None:
        one, two = await self.servers()
        alice, ann = one.person("alice", 1), one.caller()
        await alice.register()
        await ann.register("ann")
        gone = two.person("gone", 3)
        await gone.register()
        gone.leave()
        await two.settled()
        self.ahead(31, one)
        await one.settled()
        await self.ask(two.client, "FLUSHALL")
        self.ahead(1)
        thief = two.person("alice", 2)
        self.assertIsInstance(await thief.register(), RegAck)
        await one.beats.beat()
        await two.beats.beat()
        await one.beats.beat()
        await two.beats.beat()
        await one.settled()
        await self.until(lambda: thief.gone)
        self.assertEqual((await two.person("alice", 5).register()).status, 409)
        bob = two.person("bob", 4)
        await bob.register()
        self.assertEqual((await bob.answer(Bridge, "alice")).key, key(1))
        info = await two.caller().ask(ClassicInfo())
        self.assertEqual([each.client_id for each in info.contacts], ["ann"])
        self.assertEqual((await bob.answer(Bridge, "gone")).status, 404)
        self.assertIn("emptied", one.directory.trouble)
        self.ahead(61)
        self.assertEqual(one.directory.trouble, "")

    async def test_watches_go_on_after_redis_was_emptied(self) -> None:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        for each in (alice, bob):
            await each.register()
        await bob.answer(Watch, "alice")
        await self.ask(two.client, "FLUSHALL")
        await one.beats.beat()
        await two.beats.beat()
        await one.beats.beat()
        await two.beats.beat()
        await one.settled()
        while two.node.name not in (await one.store.load("alice")).watching:
            await self.wait(0.01)
        await alice.register(away="x")
        await self.until(lambda: bob.of(Presence)[-1].away == "x")

    async def test_invalid_group_affects_no_other(self) -> None:
        one, two = await self.servers()
        poison = ('{"presences": {"x": 7}}', "[" * 5000, "7", "nonsense")
        for letter, data in zip("wxyz", poison, strict=True):
            name = f"chatproto:{{i:bad{letter}}}"
            await self.ask(one.client, "HSET", name, "version", "1", "data", data)
        await self.ask(one.client, "ZADD", "chatproto:ids", "0", "nonsense")
        node = two.node.name
        await self.ask(one.client, "XADD", f"chatproto:inbox:{node}", "1-0", "b", "nonsense")
        alice = two.person("alice", 1)
        self.assertEqual((await alice.register("badx")).status, 503)
        self.assertIsInstance(await alice.register(), RegAck)
        info = await alice.answer(bcp2_server.Info)
        self.assertEqual([each.client_id for each in info.contacts], ["alice"])
        bob = one.person("bob", 2)
        await bob.register()
        await bob.answer(Bridge, "alice")
        await alice.told(bcp2_server.Introduce)

    async def test_unchanged_group_is_not_written_again(self) -> None:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        for each in (alice, bob):
            await each.register(allow=(key(3),), open=True)
        await bob.answer(Watch, "alice")
        await one.settled()
        await two.settled()
        before = [(await one.store.load(name)).version for name in ("alice", "bob")]
        for server in (one, two):
            server.directory.missed()
            await server.settled()
        await self.until(lambda: two.directory._watches._asking is None)
        after = [(await one.store.load(name)).version for name in ("alice", "bob")]
        self.assertEqual(after, before)
