"""The scripts in a real Redis, with the races that they are for."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stores.redis import client as client_module
from chatproto.stores.redis.beats import EPOCH
from chatproto.stores.redis.client import LOST, OutcomeUncertain, RedisClient
from chatproto.stores.redis.group_text import OWNED
from chatproto.stores.redis.node_table import GONE, NODES
from chatproto.stores.redis.room_store import USED
from chatproto.stores.redis.scripts import (
    BEAT,
    COMMIT,
    GIVE_UP,
    RESERVE,
    SAY,
    Script,
)
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble
from tests.stores.redis.case import RedisCase
from tests.stores.redis.lossy import Lossy

GROUP, LISTING = "chatproto:{i:alice}", "chatproto:listing"
LIFE = "60000"
ROOM = "chatproto:{r:#tea}"


def put(member: str) -> tuple[str, ...]:
    """Return the words that put a member into LISTING."""
    return "+", "5", "0", member


class ScriptCase(RedisCase):
    async def run_script(self, client: RedisClient, script: Script, keys: Any, *words: str) -> Any:
        return await client.connection.run(script, keys, words)

    async def commit(
        self,
        client: RedisClient,
        version: int,
        data: str,
        *notices: str,
        token: str = "",
        most: str = "",
    ) -> int:
        keys = (GROUP, f"{GROUP}:t:{token or self.new_token()}", GONE, OWNED, LISTING)
        facts = str(version), str(version + 1), data, LIFE, "here", most
        return int(await client.once(COMMIT, keys, (*facts, *notices)))

    async def say(
        self, client: RedisClient, version: int, *lines: str, tokens: Any = (), seat: str = ""
    ) -> Any:
        names = tokens or [self.new_token() for _ in lines]
        keys = (ROOM, f"{ROOM}:s", f"{ROOM}:m", *(f"{ROOM}:t:{one}" for one in names))
        each = [word for line in lines for word in ("bob", seat, line)]
        words = "0:", str(version), "100", "0", *each
        return [int(number) for number in await client.once(SAY, keys, words)]

    async def room(self, client: RedisClient) -> None:
        await self.ask(client, "HSET", ROOM, "version", "1", "last", str(2**50))


class CommitTests(ScriptCase):
    async def test_one_of_two_simultaneous_claims_succeeds(self) -> None:
        one, other = await self.client(), await self.client()
        work = [self.commit(one, 0, "one's"), self.commit(other, 0, "the other's")]
        versions: list[int] = await gatherResults([ensureDeferred(each) for each in work])
        self.assertEqual(sorted(versions), [0, 1])
        data = await self.ask(one, "HGET", GROUP, "data")
        self.assertEqual(data, ["one's", "the other's"][versions.index(1)])

    async def test_a_version_that_is_not_the_last_changes_nothing(self) -> None:
        client = await self.client()
        self.assertEqual(await self.commit(client, 0, "first"), 1)
        self.assertEqual(await self.commit(client, 1, "second"), 2)
        self.assertEqual(await self.commit(client, 1, "late", *put("late")), 0)
        self.assertEqual(await self.ask(client, "HGET", GROUP, "data"), "second")
        self.assertEqual(await self.ask(client, "ZCARD", LISTING), 0)
        self.assertLessEqual(await self.ask(client, "PTTL", GROUP), 60000)

    async def test_lists_and_notices_are_written_with_it(self) -> None:
        client = await self.client()
        await self.ask(client, "HSET", NODES, "here", "1")
        notices = [word for number in range(3) for word in (">", "", "here", f"notice {number}")]
        words = *put("alice"), *notices, ">", "", "elsewhere", "notice"
        self.assertEqual(await self.commit(client, 0, "data", *words), 1)
        self.assertEqual(await self.ask(client, "ZRANGE", LISTING, "0", "-1"), ["alice"])
        found = await self.ask(client, "XRANGE", "chatproto:inbox:here", "-", "+")
        wanted = [[f"{one + 1}-0", ["b", f"notice {one}"]] for one in range(3)]
        self.assertEqual(found, wanted)
        self.assertEqual(await self.ask(client, "EXISTS", "chatproto:inbox:elsewhere"), 0)
        self.assertEqual(await self.commit(client, 1, "", "-", "5", "0", "alice"), 2)
        self.assertEqual(await self.ask(client, "EXISTS", GROUP, LISTING), 0)

    async def test_a_poisoned_list_keeps_nothing_else_from_being_done(self) -> None:
        client = await self.client()
        await self.ask(client, "HSET", NODES, "here", "1", "there", "1")
        await self.ask(client, "MSET", LISTING, "poison", "chatproto:inbox:here", "poison")
        keys = (GROUP, f"{GROUP}:t:x", GONE, OWNED, LISTING, "other")
        words = (
            *(*put("alice"), ">", "", "here", "lost", ">", "", "there", "heard"),
            *("+", "6", "7", "alice"),
        )
        words = "0", "1", "data", LIFE, "here", "", *words
        found = await client.once(COMMIT, keys, words)
        self.assertTrue(found.startswith("1 ") and "WRONGTYPE" in found, found)
        self.assertEqual(await self.ask(client, "ZSCORE", "other", "alice"), "7")
        self.assertEqual(await self.ask(client, "XLEN", "chatproto:inbox:there"), 1)
        again = await client.once(COMMIT, keys, words)
        self.assertEqual(again, found)

    async def test_a_lost_reply_another_writer_and_then_the_retry(self) -> None:
        lossy = Lossy(self.redis.port)
        self.addCleanup(lambda: ensureDeferred(lossy.close()))
        one, other = await self.client(lossy.url), await self.client()
        lossy.mute = True
        waits = ensureDeferred(self.commit(one, 0, "one's"))
        while await self.ask(other, "HGET", GROUP, "version") != "1":
            await self.wait(0.01)
        self.assertEqual(await self.commit(other, 1, "the other's"), 2)
        lossy.mute = False
        lossy.cut()
        self.assertEqual(await waits, 1)
        self.assertEqual(await self.ask(other, "HGET", GROUP, "data"), "the other's")

    async def test_a_retry_that_cannot_be_is_uncertain(self) -> None:
        self.patch(client_module, "RETRIED", 0.5)
        client = await self.client()
        self.redis.signal(19)  # SIGSTOP
        waits = ensureDeferred(self.commit(client, 0, "data"))
        self.redis.kill()
        await self.assertFailure(waits, OutcomeUncertain)
        certain = ensureDeferred(self.commit(client, 0, "data"))
        await self.assertFailure(certain, StoreTrouble)

    async def test_scripts_are_known_again_after_they_were_forgotten(self) -> None:
        client = await self.client()
        await self.ask(client, "SCRIPT", "FLUSH")
        self.assertEqual(await self.commit(client, 0, "data"), 1)


class ReserveTests(ScriptCase):
    async def test_a_third_and_a_fourth_at_once_are_three(self) -> None:
        clients = [await self.client() for _ in range(4)]
        work = [
            self.run_script(one, RESERVE, ("count",), f"name {number}", "3", "0")
            for number, one in enumerate(clients)
        ]
        found: list[int] = await gatherResults([ensureDeferred(each) for each in work])
        self.assertEqual(sorted(found), [0, 1, 1, 1])
        again = f"name {found.index(1)}"
        self.assertEqual(await self.run_script(clients[0], RESERVE, ("count",), again, "3", "1"), 1)


class SayTests(ScriptCase):
    async def test_lines_of_all_servers_have_consecutive_numbers(self) -> None:
        clients = [await self.client() for _ in range(3)]
        await self.room(clients[0])
        work: list[Deferred[Any]] = [
            ensureDeferred(self.say(one, 1, f"{turn} a", f"{turn} b"))
            for turn in range(20)
            for one in clients
        ]
        numbers = [number for said in await gatherResults(work) for number in said]
        self.assertEqual(sorted(numbers), list(range(2**50 + 1, 2**50 + 121)))
        kept = await self.ask(clients[0], "XRANGE", f"{ROOM}:s", "-", "+")
        self.assertEqual(len(kept), 100)
        self.assertEqual(kept[-1][0], f"{2**50 + 120}-0")

    async def test_a_retry_finds_the_number_of_the_first_try(self) -> None:
        one, other = await self.client(), await self.client()
        await self.room(one)
        first = await self.say(one, 1, "a", "b", tokens=("x", "y"))
        await self.say(other, 1, "between")
        await self.ask(other, "HSET", ROOM, "version", "2")
        self.assertEqual(await self.say(one, 1, "a", "b", tokens=("x", "y")), first)
        self.assertEqual(await self.ask(one, "XLEN", f"{ROOM}:s"), 3)
        self.assertEqual(await self.ask(one, "HGET", ROOM, "event"), "3")

    async def test_another_version_refuses_all(self) -> None:
        client = await self.client()
        await self.room(client)
        self.assertEqual(await self.say(client, 2, "a", "b"), [0, 0])
        self.assertEqual(await self.ask(client, "EXISTS", f"{ROOM}:s"), 0)

    async def test_line_of_a_moved_member_is_refused_even_on_retry(self) -> None:
        client = await self.client()
        await self.room(client)
        await self.ask(client, "HSET", f"{ROOM}:m", "bob", "seat")
        self.assertEqual(await self.say(client, 1, "a", seat="seat"), [2**50 + 1])
        await self.ask(client, "HSET", f"{ROOM}:m", "bob", "other")
        self.assertEqual(await self.say(client, 1, "b", tokens="x", seat="seat"), [-1])
        await self.ask(client, "HSET", f"{ROOM}:m", "bob", "seat")
        self.assertEqual(await self.say(client, 1, "b", tokens="x", seat="seat"), [-1])
        await self.ask(client, "HSET", ROOM, "version", "2")
        self.assertEqual(await self.say(client, 1, "b", tokens="x", seat="seat"), [-1])
        await self.ask(client, "HDEL", f"{ROOM}:m", "bob")
        self.assertEqual(await self.say(client, 2, "c", "d", seat="seat"), [-1, -1])
        self.assertEqual(await self.ask(client, "XLEN", f"{ROOM}:s"), 1)

    async def test_a_poisoned_room_changes_nothing_and_is_named(self) -> None:
        client = await self.client()
        await self.room(client)
        await self.ask(client, "SET", f"{ROOM}:s", "poison")
        trouble = await self.assertFailure(ensureDeferred(self.say(client, 1, "a")), StoreTrouble)
        self.assertIn("WRONGTYPE", str(trouble))
        self.assertEqual(await self.ask(client, "HGET", ROOM, "last"), str(2**50))


class BeatTests(ScriptCase):
    async def beat(self, client: RedisClient, node: str, first: str = "0", *events: str) -> Any:
        rooms = [f"room {number}" for number in range(len(events))]
        return await self.run_script(
            client, BEAT, (NODES, EPOCH, USED, *rooms), node, first, f"by {node}", *events
        )

    async def test_nodes_count_and_learn_which_rooms_have_changed(self) -> None:
        client = await self.client()
        await self.beat(client, "one", "1")
        await self.ask(client, "HSET", "room 1", "event", "7")
        await self.ask(client, "ZADD", USED, "1", "#tea", "2", "#milk")
        epoch, _, nodes, changed, count = await self.beat(client, "two", "1", "0", "7", "3")
        self.assertEqual((epoch, nodes, changed), ("by one", ["one", "1", "two", "1"], [2]))
        self.assertEqual(count, 2)
        self.assertEqual((await self.beat(client, "one"))[2], ["one", "2", "two", "1"])

    async def test_removed_node_learns_of_its_removal(self) -> None:
        client = await self.client()
        await self.beat(client, "one", "1")
        await self.ask(client, "ZADD", GONE, "10", "long gone")
        await self.ask(client, "SET", "inbox", "something")
        keys = NODES, GONE, "inbox"
        for counter, result in (("0", 0), ("1", 1), ("", 0)):
            found = await self.run_script(client, GIVE_UP, keys, "one", counter, "200.5", "100")
            self.assertEqual(found, result)
        left = await self.ask(client, "ZRANGE", GONE, "0", "-1", "WITHSCORES")
        self.assertEqual(left, ["one", "200.5"])
        self.assertEqual(await self.ask(client, "EXISTS", "inbox"), 0)
        self.assertEqual(await self.beat(client, "one"), ["by one", []])
        await self.ask(client, "FLUSHALL")
        self.assertEqual(await self.beat(client, "one"), ["", []])


class LostTests(ScriptCase):
    async def test_client_reports_the_outage_and_recovers(self) -> None:
        client = await self.client()
        self.redis.kill()
        await self.until(lambda: bool(client.why))
        await self.assertFailure(ensureDeferred(self.commit(client, 0, "x")), StoreTrouble)
        self.redis.start()
        await self.until(lambda: not client.why)
        self.assertEqual(await self.commit(client, 0, "x"), 1)
        self.flushLoggedErrors()

    def test_exceptions_of_a_lost_connection_are_listed(self) -> None:
        self.assertIn(StoreTrouble, LOST)
        self.assertNotIn(OutcomeUncertain, LOST)
        self.assertIsNotNone(reactor)


class StopTests(SynchronousTestCase):
    def test_stop_resumes_callers_that_wait_for_a_connection(self) -> None:
        client = RedisClient(MemoryReactorClock(), RedisUrl("redis://127.0.0.1:6379/0"))
        client.startService()
        waiting = Deferred.fromCoroutine(client.wait_connected(60.0))
        self.assertNoResult(waiting)
        client.stopService()
        self.successResultOf(waiting)


class NamedTests(SynchronousTestCase):
    def test_a_key_is_named_once_and_only_so_many_are_remembered(self) -> None:
        self.patch(client_module, "MOST_NAMED", 2)
        said: list[LogEvent] = []
        self.patch(RedisClient, "log", Logger(observer=cast(ILogObserver, said.append)))
        client = RedisClient(MemoryReactorClock(), RedisUrl("redis://127.0.0.1:6379/0"))
        for key in ("a", "a", "b", "c", "c", "a"):
            client.name(key, key)
        self.assertEqual([one["why"] for one in said], ["a", "b", "c", "a"])
