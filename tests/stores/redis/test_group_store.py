"""The shared directory in a real Redis, with the races that it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, gatherResults
from twisted.logger import globalLogPublisher

from chatproto.directory.shared import ClassicCrowd, GroupState, OwnedId, ToClient
from chatproto.directory.shared_store import GroupChanged, NoRoom
from chatproto.stores.redis import group_store as group_store_module
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.group_text import ENDS, LISTED, OWNED, write_notice
from chatproto.stores.redis.node_table import GONE, NODES, NodeTable
from chatproto.wire.errors import StoreTrouble
from tests.limits import Limits
from tests.stores.redis.case import RedisCase
from tests.stores.redis.lossy import Lossy
from tests.stores.redis.test_group_text import KEY, classic, keyed

NOW = 1000.0
FIRST = 1_000_000_000
"""Version of a group that was written at NOW."""
POISONED = "chatproto:{i:bob}", "chatproto:{i:ann}", "chatproto:{i:eve}"
LIMITS = Limits(registrations=2, keep_names=5000.0, classic_lease=1000.0)


class DirectoryCase(RedisCase):
    async def directory(self, client: RedisClient | None = None) -> RedisDirectory:
        self.table = NodeTable(10.0)
        client = client or await self.client()
        return RedisDirectory(client, LIMITS, self.new_token, self.table)

    async def put(self, directory: RedisDirectory, client_id: str, **more: Any) -> GroupState:
        """Register a client with a key, or with `classic` one without."""
        former = await directory.load(client_id)
        if "classic" in more:
            state = replace(former, classic={**former.classic, client_id: more["classic"]})
        else:
            owned = {**former.owned, client_id: OwnedId(1.0, 9000.0)}
            presences = {**former.presences, client_id: keyed(client_id, **more)}
            state = replace(former, owner=KEY, owned=owned, presences=presences)
        return await directory.commit(former, state, NOW)


class GroupTests(DirectoryCase):
    async def test_group_is_loaded_unchanged(self) -> None:
        directory = await self.directory()
        self.assertEqual(await directory.load("Alice"), GroupState("allce"))
        state = await self.put(directory, "Alice")
        self.assertEqual(state.version, FIRST)
        found = await directory.load("AL1CE")
        self.assertEqual((found.version, found.owner, found.owned), (FIRST, KEY, state.owned))
        self.assertEqual(found.presences["Alice"].registration.client.node, "here")
        gone = replace(found, owner=None, owned={}, presences={})
        self.assertEqual((await directory.commit(found, gone, NOW)).version, 0)
        client = directory._client
        left = [one for one in await self.ask(client, "KEYS", "*") if ":t:" not in one]
        self.assertEqual(left, [])

    async def test_concurrent_claims_of_similar_ids_conflict_once(self) -> None:
        one, other = await self.directory(), await self.directory()
        work: Any = [ensureDeferred(self.put(one, "bob")), ensureDeferred(self.put(other, "b0b"))]
        results = await DeferredList(work, consumeErrors=True)
        self.assertEqual(sorted(done for done, _ in results), [False, True])
        [refused] = [result for done, result in results if not done]
        self.assertIsNotNone(refused.check(GroupChanged))
        await self.put(other, "b0b")
        self.assertEqual(len((await one.load("bob")).owned), 2 if results[0][0] else 1)

    async def test_a_lost_reply_another_writer_and_then_the_retry(self) -> None:
        lossy = Lossy(self.redis.port)
        self.addCleanup(lambda: ensureDeferred(lossy.close()))
        one = await self.directory(await self.client(lossy.url))
        other = await self.directory()
        former = await one.load("bob")
        lossy.mute = True
        state = replace(former, owner=KEY, owned={"bob": OwnedId(1.0, 9000.0)})
        waits = ensureDeferred(one.commit(former, state, NOW))
        while (await other.load("bob")).version == 0:
            await self.wait(0.01)
        await self.put(other, "b0b")
        lossy.mute = False
        lossy.cut()
        self.assertEqual((await waits).version, FIRST)
        self.assertEqual((await one.load("bob")).version, FIRST + 1)

    async def test_a_group_that_was_emptied_and_made_anew_is_another_one(self) -> None:
        one, other = await self.directory(), await self.directory()
        seen = await self.put(one, "bob", classic=classic("bob", heard=NOW))
        await other.commit(seen, replace(seen, classic={}), NOW + 1)
        lease = classic("bob", heard=NOW + 2)
        former = await other.load("bob")
        await other.commit(former, replace(former, classic={"bob": lease}), NOW + 2)
        again = replace(seen, classic={"bob": classic("bob", heard=NOW + 3)})
        await self.assertFailure(ensureDeferred(one.commit(seen, again, NOW + 3)), GroupChanged)
        self.assertEqual((await one.load("bob")).classic["bob"].heard, NOW + 2)

    async def test_a_server_that_was_given_up_changes_nothing(self) -> None:
        directory = await self.directory()
        former = await directory.load("bob")
        state = replace(former, owner=KEY, owned={"bob": OwnedId(1.0, 9000.0)})
        await self.ask(directory._client, "ZADD", GONE, "10", "gone")
        late = ensureDeferred(directory.commit(former, state, NOW, (), "gone"))
        await self.assertFailure(late, GroupChanged)
        self.assertEqual((await directory.load("bob")).version, 0)
        self.assertEqual((await directory.commit(former, state, NOW, (), "here")).version, FIRST)

    async def test_simultaneous_new_ids_keep_the_limit(self) -> None:
        directories = [await self.directory() for _ in range(3)]
        await self.put(directories[0], "bob")

        async def take(number: int) -> GroupState:
            former = await directories[number % 3].load(f"id{number}")
            state = replace(former, owner=KEY, owned={f"id{number}": OwnedId(1.0, 9000.0)})
            return await directories[number % 3].commit(former, state, NOW, (), "", 4)

        work: Any = [ensureDeferred(take(number)) for number in range(9)]
        results = await DeferredList(work, consumeErrors=True)
        refused = [result for done, result in results if not done]
        self.assertEqual([one.type for one in refused], [NoRoom] * 6)
        client = directories[0]._client
        self.assertEqual(await self.ask(client, "ZCARD", OWNED), 4)
        await self.put(directories[0], "b0b")  # which is not looked at without a number
        await self.ask(client, "SET", OWNED, "poison")
        await take(100)

    async def test_group_expires_after_its_contents(self) -> None:
        directory = await self.directory()
        client, slack = directory._client, group_store_module.SLACK

        async def life(key: str) -> float:
            return float(await self.ask(client, "PTTL", f"chatproto:{{i:{key}}}")) / 1000

        await self.put(directory, "bob", classic=classic("bob", heard=NOW))
        self.assertApproximates(await life("bob"), LIMITS.classic_lease + slack, 30)
        self.assertEqual(await directory.due(NOW + 999, 10), [])
        self.assertEqual(await directory.due(NOW + 1000, 10), ["bob"])
        await self.put(directory, "ann")
        self.assertApproximates(await life("ann"), 8000 + slack, 30)
        self.assertEqual(await directory.due(1e9, 1), ["bob"])
        former = await directory.load("eve")
        watched = replace(former, watching=frozenset({"here"}))
        self.assertEqual((await directory.commit(former, watched, NOW)).version, FIRST)
        self.assertApproximates(await life("eve"), LIMITS.keep_names + slack, 30)

    async def test_poison_harms_only_its_own_group_and_is_named_once(self) -> None:
        directory = await self.directory()
        client = directory._client
        bob, ann, eve = POISONED
        await self.ask(client, "HSET", bob, "version", "7", "data", "{}")
        await self.ask(client, "HSET", ann, "version", "x", "data", "[" * 10_000)
        await self.ask(client, "SET", eve, "poison")
        said: list[Any] = []
        hear: Any = said.append
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)
        for client_id in ("bob", "ann", "eve", "eve"):
            await self.assertFailure(ensureDeferred(directory.load(client_id)), StoreTrouble)
        named = [one["why"] for one in said if "why" in one]
        self.assertEqual(
            [name in why for name, why in zip(POISONED, named, strict=True)], [True] * 3
        )
        await self.put(directory, "dave")
        await self.ask(client, "ZADD", LISTED, "0", "poison", "0", "\ud7ff")
        self.assertEqual(len(await directory.listed("", "", 10)), 1)
        await self.ask(client, "SET", ENDS, "x")
        trouble = await self.assertFailure(ensureDeferred(directory.due(NOW, 1)), StoreTrouble)
        self.assertIn("WRONGTYPE", str(trouble))
        await self.put(directory, "carol")
        self.assertEqual((await directory.load("carol")).version, FIRST)

    async def test_notices_reach_running_servers(self) -> None:
        directory = await self.directory()
        client = directory._client
        await self.ask(client, "HSET", NODES, "here", "1")
        notice = ToClient(7, "text")
        former = await directory.load("bob")
        state = replace(former, watching=frozenset({"here"}))
        await directory.commit(former, state, NOW, [("here", notice), ("nowhere", notice)])
        self.assertTrue(await directory.send("here", notice))
        self.assertFalse(await directory.send("nowhere", notice))
        found = await self.ask(client, "XRANGE", "chatproto:inbox:here", "-", "+")
        text = write_notice(notice)
        self.assertEqual(found, [["1-0", ["b", text]], ["2-0", ["b", text]]])


class ListTests(DirectoryCase):
    async def test_clients_are_listed_by_id_age_and_plain_calls(self) -> None:
        directory = await self.directory()
        for client_id in ("anna", "ann", "ann-b", "bob"):
            await self.put(directory, client_id)
        former = await directory.load("eve")
        newest = replace(keyed("eve", open=True), made=101.0)
        state = replace(former, owner=KEY, presences={"eve": newest})
        await directory.commit(former, state, NOW)
        await self.put(directory, "carl", classic=classic("carl"))

        async def ids(*question: Any) -> list[str]:
            return [one.client_id for one in await directory.listed(*question)]

        self.assertEqual(await ids("", "", 10), ["ann", "ann-b", "anna", "bob", "carl", "eve"])
        self.assertEqual(await ids("ann", "", 10), ["ann", "ann-b", "anna"])
        self.assertEqual(await ids("ann", "ann", 10), ["ann-b", "anna"])
        self.assertEqual(await ids("", "ann", 2), ["ann-b", "anna"])
        self.assertEqual(await ids("b", "ann", 2), ["bob"])
        self.assertEqual([one.client_id for one in await directory.newest(0, 1)], ["eve"])
        self.assertEqual([one.client_id for one in await directory.newest(1, 1)], ["bob"])
        self.assertEqual([one.client_id for one in await directory.open(0, 9)], ["eve"])
        [carl] = await directory.classics(9)
        self.assertEqual((carl.client_id, carl.port, carl.key), ("carl", 3001, ""))
        self.assertEqual(await directory.counts(), (5, 1))
        crowd = await directory.crowd("192.0.2.2", 1)
        self.assertEqual(crowd, ClassicCrowd(1, 1, ("carl",), ("carl",)))
        crowd = await directory.crowd("192.0.2.3", 1)
        self.assertEqual(crowd, ClassicCrowd(0, 1, (), ("carl",)))


class ReserveTests(DirectoryCase):
    async def test_simultaneous_reservations_keep_the_limit(self) -> None:
        directories = [await self.directory() for _ in range(4)]
        work = [
            ensureDeferred(one.reserve(KEY, f"id{number}", 3, NOW + number))
            for number, one in enumerate(directories)
        ]
        found: list[bool] = await gatherResults(work)
        self.assertEqual(sorted(found), [False, True, True, True])
        reserved = await directories[0].reserved(KEY)
        self.assertEqual(len(reserved), 3)
        client_id, since = next(iter(reserved.items()))
        self.assertTrue(await directories[1].reserve(KEY, client_id, 3, NOW + 100))
        self.assertFalse(await directories[0].release(KEY, client_id, since))
        self.assertTrue(await directories[0].release(KEY, client_id, NOW + 100))
        self.assertTrue(await directories[0].reserve(KEY, "another", 3, NOW))
        await self.ask(directories[0]._client, "HSET", f"chatproto:{{k:{KEY}}}:ids", "x", "y")
        await self.assertFailure(ensureDeferred(directories[0].reserved(KEY)), StoreTrouble)


class PairTests(DirectoryCase):
    async def test_one_peer_is_given_to_one_of_two_askers(self) -> None:
        one, other = await self.directory(), await self.directory()
        for number, client_id in enumerate(("ann", "bob", "carl")):
            await self.put(one, client_id, classic=classic(client_id, heard=NOW + number))
        facts = await one.pairing("ann")
        self.assertEqual((facts.partner, facts.waiting, facts.free), (None, (), ("carl", "bob")))
        work: list[Deferred[bool]] = [
            ensureDeferred(one.pair("ann", "carl", "free", NOW)),
            ensureDeferred(other.pair("bob", "carl", "free", NOW)),
        ]
        self.assertEqual(sorted(await gatherResults(work)), [False, True])
        facts = await other.pairing("carl")
        self.assertEqual(len(facts.free), 1)
        assert facts.partner is not None
        self.assertTrue(await other.pair("carl", facts.partner, "partner", NOW))
        self.assertFalse(await other.pair("carl", "eve", "partner", NOW))

    async def test_a_request_of_a_client_in_a_pair_does_not_make_it_free(self) -> None:
        directory = await self.directory()
        for number, client_id in enumerate(("ann", "bob", "carl", "dora")):
            await self.put(directory, client_id, classic=classic(client_id, heard=NOW + number))
        self.assertTrue(await directory.pair("ann", "bob", "free", NOW))
        for number, client_id in enumerate(("bob", "carl"), 10):  # `free` has them in this order
            await self.put(directory, client_id, classic=classic(client_id, heard=NOW + number))
        self.assertEqual((await directory.pairing("eve")).free, ("carl", "dora"))
        again = replace(classic("bob", heard=NOW + 20), free=True)
        await self.put(directory, "bob", classic=again)
        self.assertEqual((await directory.pairing("eve")).free, ("bob", "carl"))

    async def test_waiting_clients_keep_their_places(self) -> None:
        directory = await self.directory()
        for number, client_id in enumerate(("ann", "bob", "ann")):
            await directory.wait(client_id, NOW + number)
        self.assertEqual((await directory.pairing("eve")).waiting, ("ann", "bob"))
        self.assertTrue(await directory.pair("eve", "ann", "waiting", NOW))
        self.assertFalse(await directory.pair("dave", "ann", "waiting", NOW))
        await directory.unpair("bob")
        self.assertEqual((await directory.pairing("dave")).waiting, ())

    async def test_the_oldest_pairs_are_forgotten(self) -> None:
        directory = await self.directory()
        for number in range(3):
            one, other = f"a{number}", f"b{number}"
            await directory.wait(other, NOW)
            self.assertTrue(await directory.pair(one, other, "waiting", NOW + number))
        self.assertIsNone((await directory.pairing("a0")).partner)
        self.assertEqual((await directory.pairing("b2")).partner, "a2")


class NodeTests(DirectoryCase):
    async def test_end_of_a_server_is_stored(self) -> None:
        directory = await self.directory()
        client = directory._client
        self.table.see({"here": 1}, 0.0)
        self.assertIsNone(await directory.left_at("here"))
        await self.ask(client, "HSET", NODES, "new", "1")
        self.assertIsNone(await directory.left_at("new"))
        await self.ask(client, "ZADD", GONE, "77.5", "old")
        self.patch(group_store_module, "MOST_LEFT", 1)
        for _ in range(2):
            self.assertEqual(await directory.left_at("old"), 77.5)
            self.assertEqual(await directory.left_at("older"), 0.0)
        # Redis was emptied, and the server has beaten again under its name.
        await self.ask(client, "HSET", NODES, "older", "1")
        self.assertIsNone(await directory.left_at("older"))
