"""Rooms in a real Redis, watched by several servers; without Redis the tests are skipped."""

from __future__ import annotations

import random
from time import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults

from chatproto.rooms.policy import BanRecord, RoomPolicy
from chatproto.rooms.shared import (
    LineSaid,
    MemberEntered,
    MemberLeft,
    OwnNode,
    PolicyChanged,
    RoomCopy,
    RoomEvent,
    RoomSeat,
    SpokenBy,
)
from chatproto.rooms.shared_store import UNSEATED, Conflict
from chatproto.stores.redis import client as client_module
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.node_table import GONE, NODES, NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_text import write_line
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from tests.stores.redis.case import RedisCase
from tests.stores.redis.lossy import Lossy

TEA = "#tea"
KEY = "sha256:OWNER"
ROOM = "chatproto:{r:#tea}"
UNPUBLISHED = """
local number = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('XADD', KEYS[2], number .. '-0', 'b', ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'event', 1)
"""
"""Say a line, and publish nothing. KEYS: room, stream. ARGV: line."""


class OneServer:
    """One server of several: its rooms, and what it was told of them."""

    def __init__(
        self, case: RedisCase, client: RedisClient, url: str, name: str, limits: ServerLimits
    ) -> None:
        self.client = client
        self.name = name
        self.told: list[RoomEvent] = []
        self.gone: list[str] = []
        self.parted: list[str] = []
        self.rooms = RedisRooms(client, 0, limits, case.new_token)
        self.watch = RoomWatch(
            reactor,
            RedisUrl(url),
            self.rooms,
        )
        names = iter([name, *(f"{name} {number}" for number in range(1000))])
        self.node = OwnNode(lambda: next(names))
        self.beats = Beats(
            case.clock,
            client,
            self.watch,
            limits,
            self.node,
            NodeTable(limits.server_lapse),
            [self],
            time,
        )
        self.counts: list[int] = []

    # What the watch and the beats tell.

    def happened(self, copy: RoomCopy, event: RoomEvent) -> None:
        self.told.append(event)

    def lost(self, copy: RoomCopy) -> None:
        self.gone.append(copy.policy.name)

    def beat(self, rooms: int) -> None:
        self.counts.append(rooms)

    def node_lost(self, node: str) -> None:
        self.parted.append(node)

    def rejoin(self) -> None:
        self.parted.append("me")

    def emptied(self) -> None:
        self.gone.append("everything")

    def texts(self) -> list[str]:
        return [one.line.text for one in self.told if isinstance(one, LineSaid)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.told if isinstance(one, kind)]

    def seat(self, number: int = 1, key: str = "sha256:GUEST") -> RoomSeat:
        return RoomSeat(self.name, number, key, "192.0.2.1")

    async def say(self, *texts: str) -> list[int]:
        copy = self.watch.find(TEA)
        assert copy is not None
        lines = [("bob", 5.0, text, SpokenBy(self.name, 1, 7)) for text in texts]
        policy = copy.policy
        return await self.rooms.say(TEA, policy.version, policy.history, lines, copy.last)

    async def enter(self, who: str, seat: RoomSeat | None = None) -> int:
        copy = self.watch.find(TEA)
        assert copy is not None
        state, _ = await self.rooms.read(TEA)
        version, former = copy.policy.version, state.members.get(who)
        return await self.rooms.enter(TEA, version, who, seat or self.seat(), former)

    async def change(self, policy: RoomPolicy, news: Any = None) -> None:
        state, _ = await self.rooms.read(TEA)
        await self.rooms.change(RoomCopy(state), policy, news, 9.0)


class WatchCase(RedisCase):
    limits = SERVER_DEFAULTS

    async def server(self, name: str, url: str = "") -> OneServer:
        client = await self.client(url)
        one = OneServer(self, client, url or self.redis.url, name, self.limits)
        one.watch.startService()
        self.addCleanup(one.watch.stopService)
        await self.until(lambda: one.watch.is_up)
        return one

    async def several(self, count: int = 2) -> list[OneServer]:
        """Servers that watch the room."""
        found = [await self.server(f"node{number}") for number in range(count)]
        await found[0].rooms.create(RoomPolicy(TEA, KEY, version=1), 5.0)
        for one in found:
            await one.watch.watch(TEA, one)
        return found

    def agreed(self, *servers: OneServer) -> bool:
        copies = [one.watch.find(TEA) for one in servers]
        facts = [(one.event, one.last, one.members, one.policy) if one else None for one in copies]
        return all(fact == facts[0] for fact in facts)


class SharedRoomTests(WatchCase):
    async def test_all_hear_all_in_one_order(self) -> None:
        one, other = await self.several()
        await one.enter("alice")
        work = [
            ensureDeferred(server.say(f"{server.name} {turn}"))
            for turn in range(20)
            for server in (one, other)
        ]
        numbers = sorted(number for [number] in await gatherResults(work))
        await self.until(lambda: len(one.texts()) == len(other.texts()) == 40)
        self.assertEqual(one.told, other.told)
        self.assertEqual([said.line.number for said in one.of(LineSaid)], numbers)
        self.assertEqual(one.of(LineSaid)[0].spoken_by.cseq, 7)
        self.assertTrue(self.agreed(one, other))

    async def test_a_room_of_another_spelling_is_refused(self) -> None:
        one, other = await self.several()
        for server in (one, other, await self.server("third")):
            alike = ensureDeferred(server.watch.watch("#TEA", server))
            self.assertEqual((await self.assertFailure(alike, RemoteError)).status, 409)  # type: ignore[attr-defined]
        taken = ensureDeferred(one.rooms.create(RoomPolicy("#TEA", version=1), 5.0))
        await self.assertFailure(taken, Conflict)
        unknown = ensureDeferred(one.watch.watch("#coffee", one))
        self.assertEqual((await self.assertFailure(unknown, RemoteError)).status, 404)  # type: ignore[attr-defined]
        await one.say("still watched")
        await self.until(lambda: other.texts() == ["still watched"])

    async def test_ban_during_a_join_holds(self) -> None:
        one, other = await self.several()
        copy = other.watch.find(TEA)
        assert copy is not None
        decided_upon = copy.policy.version
        ban = BanRecord("key", "sha256:GUEST")
        policy = RoomPolicy(TEA, KEY, version=1).with_ban(ban, 0.0, 10)
        await one.change(policy, {"what": "ban"})
        late = ensureDeferred(other.rooms.enter(TEA, decided_upon, "bob", other.seat()))
        await self.assertFailure(late, Conflict)
        await self.until(lambda: other.of(PolicyChanged) != [])
        self.assertEqual(other.of(PolicyChanged)[0].news, {"what": "ban"})
        self.assertTrue(copy.policy.is_banned("bob", "sha256:GUEST", "", 0.0))

    async def test_two_changes_at_once_are_one_and_a_conflict(self) -> None:
        one, other = await self.several()
        policy = RoomPolicy(TEA, KEY, version=1)
        state, _ = await one.rooms.read(TEA)
        work = [
            ensureDeferred(
                server.rooms.change(RoomCopy(state), policy.changed(topic=server.name), None, 9.0)
            )
            for server in (one, other)
        ]
        for each in work:
            each.addErrback(lambda failure: failure.trap(Conflict))
        found = await gatherResults(work)
        self.assertEqual({type(one) for one in found}, {tuple, type(Conflict)})
        await self.until(lambda: self.agreed(one, other) and one.of(PolicyChanged) != [])

    async def test_unknown_fields_of_a_newer_server_stay(self) -> None:
        one, other = await self.several()
        policy = await self.ask(one.client, "HGET", ROOM, "policy")
        newer = policy.replace('"topic"', '"colour":"red","topic"')
        await self.ask(one.client, "HSET", ROOM, "policy", newer)
        await one.change(RoomPolicy(TEA, KEY, version=1).changed(topic="milk"))
        self.assertIn('"colour":"red"', await self.ask(one.client, "HGET", ROOM, "policy"))
        await self.until(lambda: self.agreed(one, other))

    async def test_line_needs_the_present_seat_of_its_speaker(self) -> None:
        one, other = await self.several()
        await one.enter("alice")
        lines = [("alice", 5.0, "hi", SpokenBy("node0", 1, 7))]
        said = await one.rooms.say(TEA, 1, True, lines, 0, [one.seat()])
        await other.enter("alice")
        late = await one.rooms.say(TEA, 1, True, lines, 0, [one.seat()])
        self.assertEqual((late, said[0] > 0), ([UNSEATED], True))
        again = await other.rooms.say(TEA, 1, True, lines, 0, [other.seat()])
        self.assertEqual(again, [said[0] + 1])

    async def test_join_needs_the_seat_that_was_seen(self) -> None:
        one, other = await self.several()
        enter, seat = one.rooms.enter, one.seat()
        event = await enter(TEA, 1, "alice", seat)
        self.assertEqual(await enter(TEA, 1, "alice", one.seat(2), seat), event + 1)
        for former in (None, seat):
            late = ensureDeferred(enter(TEA, 1, "alice", one.seat(3), former))
            await self.assertFailure(late, Conflict)
        self.assertEqual(await other.enter("alice"), event + 2)

    async def test_removed_server_admits_no_member(self) -> None:
        one, other = await self.several()
        await self.ask(one.client, "ZADD", GONE, "5.0", one.name)
        await self.assertFailure(ensureDeferred(one.enter("alice")), Conflict)
        await other.enter("alice")
        await self.ask(one.client, "SET", GONE, "poison")
        self.assertEqual(await one.enter("bob"), 3)

    async def test_a_member_that_moved_is_not_removed_by_its_former_server(self) -> None:
        one, other = await self.several()
        event = await one.enter("alice")
        await one.watch.reached(TEA, await other.enter("alice"))
        self.assertEqual(
            await one.rooms.leave(TEA, [("alice", one.seat())], "", 9.0), (0, event + 1)
        )
        self.assertEqual(await one.rooms.unused(10.0, 5), [])
        left, event = await one.rooms.leave(TEA, [("alice", other.seat())], "tired", 9.0)
        self.assertEqual((left, event), (1, 4))
        await one.watch.reached(TEA, event)
        self.assertEqual(len(one.of(MemberLeft)), 1)
        await self.until(lambda: self.agreed(one, other) and bool(one.of(MemberLeft)))
        self.assertEqual([each.moved for each in one.of(MemberEntered)], [False, True])
        self.assertEqual([each.reason for each in one.of(MemberLeft)], ["tired"])
        self.assertEqual(await one.rooms.unused(10.0, 5), [TEA])
        self.assertEqual(await one.rooms.listed("", 5), [TEA])

    async def test_change_removes_members_with_the_expected_seat(self) -> None:
        one, other = await self.several()
        for who in ("alice", "bob"):
            event = await one.enter(who)
        policy, gone = RoomPolicy(TEA, KEY, version=1), [("alice", one.seat())]
        copy = RoomCopy((await one.rooms.read(TEA))[0])
        found = await one.rooms.change(
            copy, policy.changed(topic="x"), ["x"], 9.0, gone=[*gone, ("bob", other.seat())]
        )
        self.assertEqual(found, (event + 1, event + 2))
        await self.until(lambda: self.agreed(one, other) and bool(other.of(MemberLeft)))
        self.assertEqual([type(each) for each in other.told[-2:]], [PolicyChanged, MemberLeft])
        self.assertEqual([each.client_id for each in other.of(MemberLeft)], ["alice"])
        self.assertEqual(await one.rooms.unused(10.0, 5), [])
        copy = RoomCopy((await one.rooms.read(TEA))[0])
        await one.rooms.change(copy, copy.policy, None, 9.0, gone=[("bob", one.seat())])
        self.assertEqual(await one.rooms.unused(10.0, 5), [TEA])

    async def test_unused_room_is_removed_unless_it_has_members(self) -> None:
        one, other = await self.several()
        policy = RoomPolicy(TEA, KEY, version=1)
        self.assertTrue(await one.rooms.reserve(KEY, TEA, 1, 9.0))
        self.assertFalse(await one.rooms.reserve(KEY, "#other", 1, 9.0))
        await one.enter("alice")
        self.assertFalse(await one.rooms.forget(policy))
        await one.rooms.leave(TEA, [("alice", one.seat())], "", 9.0)
        self.assertTrue(await one.rooms.forget(policy))
        self.assertTrue(await one.rooms.reserve(KEY, "#other", 1, 9.0))
        self.assertEqual(await one.rooms.listed("", 5), [])
        other.watch.look_again([TEA])
        await self.until(lambda: other.gone == [TEA])

    async def test_reservations_without_a_room_of_the_owner_are_taken_back(self) -> None:
        one, _ = await self.several()
        await one.rooms.create(RoomPolicy("#others", "sha256:X", version=1), 9.0)
        for name, since in ((TEA, 1.0), ("#others", 2.0), ("#never", 3.0), ("#soon", 50.0)):
            await one.rooms.reserve(KEY, name, 9, since)
        await self.ask(one.client, "HSET", f"chatproto:{{k:{KEY}}}", "poison", "poison")
        await one.rooms.release(KEY, 50.0)
        self.assertEqual(await one.rooms.owned(KEY), [TEA, "#soon"])
        self.assertEqual(
            [policy.name for policy, _ in await one.rooms.outlines([TEA, "#soon"])], [TEA]
        )
        self.assertEqual(one.client._named, set())

    async def test_history_comes_in_pages(self) -> None:
        one, _ = await self.several()
        first = (await one.say("0"))[0]
        for number in range(1, 10):
            await one.say(str(number))
        pages = [
            ((None, None, 4), ["6", "7", "8", "9"], True),
            ((first + 7, None, 4), ["8", "9"], False),
            ((None, first + 2, 4), ["0", "1"], False),
            ((first - 1, None, 2), ["0", "1"], True),
            ((first + 9, None, 2), [], False),
        ]
        for (after, before, limit), texts, more in pages:
            page = await one.rooms.page(TEA, after, before, limit, 1000)
            self.assertEqual(([line.text for line in page.lines], page.more), (texts, more))
        for after in (first - 2, first + 10):
            gone = ensureDeferred(one.rooms.page(TEA, after, None, 4, 1000))
            self.assertEqual((await self.assertFailure(gone, RemoteError)).status, 404)  # type: ignore[attr-defined]


class LostTests(WatchCase):
    async def test_a_lost_publish_is_found_by_the_next_event(self) -> None:
        one, other = await self.several()
        await one.say("1")
        await self.until(lambda: other.texts() == ["1"])
        await self.unpublished("2")
        await one.say("3")
        await self.until(lambda: one.texts() == other.texts() == ["1", "2", "3"])
        self.assertTrue(self.agreed(one, other))

    async def test_a_lost_last_line_of_a_quiet_room_is_found_by_a_beat(self) -> None:
        one, other = await self.several()
        await other.beats.beat()
        await self.unpublished("quiet")
        await other.beats.beat()
        await self.until(lambda: other.texts() == ["quiet"])
        self.assertEqual(one.texts(), [])

    async def test_lost_news_and_why_members_left_are_read(self) -> None:
        one, other = await self.several()
        for who in ("bob", "carol", "dave"):
            await one.enter(who)
        await self.until(lambda: len(one.told) == len(other.told) == 3)
        before = len(other.told)
        assert other.watch._connection is not None
        await other.watch._connection.unsubscribe(other.rooms.channel(TEA))
        await one.change(RoomPolicy(TEA, KEY, version=1).changed(topic="milk"), ["milk"])
        await one.rooms.leave(TEA, [("bob", one.seat())], "kicked", 9.0)
        await one.rooms.leave(TEA, [("carol", one.seat())], "", 9.0)
        await one.change(RoomPolicy(TEA, KEY, version=2).changed(topic="sugar"), ["sugar"])
        await self.until(lambda: len(one.of(PolicyChanged)) == 2)
        self.assertEqual(len(other.told), before)
        other.watch.look_again([TEA])
        await self.until(lambda: self.agreed(one, other))
        missed = other.told[before:]
        news = [each.news for each in missed if isinstance(each, PolicyChanged)]
        why = {each.client_id: each.reason for each in missed if isinstance(each, MemberLeft)}
        self.assertEqual((news, why), ([["milk"], ["sugar"]], {"bob": "kicked", "carol": ""}))
        self.assertLessEqual(int(await self.ask(one.client, "LLEN", f"{ROOM}:e")), 3)
        for turn in range(120):
            state, _ = await one.rooms.read(TEA)
            await one.rooms.change(RoomCopy(state), state.policy, [turn], 9.0)
        self.assertEqual(await self.ask(one.client, "LLEN", f"{ROOM}:e"), 100)

    async def test_a_new_subscription_misses_nothing(self) -> None:
        one, other = await self.several()
        await other.enter("bob", other.seat())
        await self.ask(one.client, "CLIENT", "KILL", "TYPE", "pubsub")
        for number in range(5):
            await one.say(f"{number}")
        await one.rooms.leave(TEA, [("bob", other.seat())], "", 9.0)
        await self.until(lambda: len(one.texts()) == len(other.texts()) == 5)
        await self.until(lambda: self.agreed(one, other))
        self.assertEqual([each.client_id for each in other.of(MemberLeft)], ["bob"])

    async def test_a_room_that_has_changed_while_it_was_read_is_read_once_more(self) -> None:
        [one] = await self.several(1)
        read, reads, held = one.rooms.read, list[str](), Deferred[None]()

        async def slow(name: str, after: int | None = None) -> Any:
            found = await read(name, after)
            reads.append(name)
            if len(reads) == 1:
                await held
            return found

        one.rooms.read = slow  # type: ignore[method-assign]
        one.watch.look_again([TEA])
        await self.until(lambda: len(reads) == 1)
        fresh = ensureDeferred(one.watch.refresh(TEA))
        held.callback(None)
        await fresh
        self.assertEqual(len(reads), 2)

    async def test_a_half_open_subscription_is_made_anew(self) -> None:
        self.patch(client_module, "PING", 0.1)
        self.patch(client_module, "ANSWER", 0.3)
        lossy = Lossy(self.redis.port)
        self.addCleanup(lambda: ensureDeferred(lossy.close()))
        one = await self.server("one")
        await one.rooms.create(RoomPolicy(TEA, KEY, version=1), 5.0)
        await one.watch.watch(TEA, one)
        other = await self.server("other", lossy.url)
        await other.watch.watch(TEA, other)
        lossy.mute = True
        await one.say("not heard")
        await self.wait(0.2)
        self.assertEqual(other.texts(), [])
        await self.until(lambda: not other.watch.is_up)
        lossy.mute = False
        await self.until(lambda: other.texts() == ["not heard"])

    async def test_lines_have_higher_numbers_than_before_though_redis_has_gone_back(self) -> None:
        one, other = await self.several()
        await one.say("before")
        older = await self.ask(one.client, "DUMP", ROOM)
        [lost] = await one.say("lost in Redis")
        await self.until(lambda: len(other.texts()) == 2)
        await self.ask(one.client, "RESTORE", ROOM, "0", older, "REPLACE")
        await self.ask(one.client, "XTRIM", f"{ROOM}:s", "MAXLEN", "1")
        await self.ask(one.client, "XDEL", f"{ROOM}:s", f"{lost}-0")
        [after] = await other.say("after")
        self.assertGreater(after, lost)
        for each in (one, other):
            each.watch.look_again([TEA])
        await self.until(
            lambda: one.texts() == other.texts() == ["before", "lost in Redis", "after"]
        )

    async def test_poison_on_the_channel_is_read_over(self) -> None:
        one, other = await self.several()
        await one.say("before")
        channel = one.rooms.channel(TEA)
        for text in ("", "x", "99 said 1 x", "2 said x x", "2 policy 1 [[", "1" * 30, b"\xff"):
            await self.ask(one.client, "PUBLISH", channel, text)
        await one.say("after")
        await self.until(lambda: one.texts() == other.texts() == ["before", "after"])
        await self.ask(one.client, "XADD", f"{ROOM}:s", "*", "poison", "")
        other.watch.look_again([TEA])
        await self.ask(one.client, "HSET", ROOM, "policy", "{}")
        unread = ensureDeferred(one.rooms.read(TEA))
        trouble = await self.assertFailure(unread, StoreTrouble)
        self.assertIn(f"{ROOM} in Redis cannot be read", str(trouble))

    async def test_random_changes_with_lost_events_arrive_once_in_order(self) -> None:
        chance = random.Random(16)
        servers = await self.several(3)
        said: list[str] = []
        for turn in range(120):
            one = chance.choice(servers)
            what = chance.randrange(6)
            who = f"guest{chance.randrange(4)}"
            if what < 3:
                await one.say(f"{turn}")
                said.append(f"{turn}")
            elif what == 3:
                await one.enter(who)
            elif what == 4:
                seats = [(who, server.seat()) for server in servers]
                await one.rooms.leave(TEA, seats, "", 9.0)
            elif chance.randrange(2):
                await self.unpublished(f"{turn}")
                said.append(f"{turn}")
            else:
                await self.ask(one.client, "CLIENT", "KILL", "TYPE", "pubsub")
        for one in servers:
            await self.until(lambda: one.watch.is_up)  # noqa: B023
            one.watch.look_again([TEA])
        await self.until(lambda: all(one.texts() == said for one in servers))
        await self.until(lambda: self.agreed(*servers))

    async def unpublished(self, text: str) -> None:
        """Change the room as SAY does, in one step, with a publish that is lost."""
        line = write_line("bob", 5.0, text, SpokenBy("elsewhere", 1, 7))
        client = await self.client()
        await self.ask(client, "EVAL", UNPUBLISHED, "2", ROOM, f"{ROOM}:s", line)


class NodeTests(WatchCase):
    limits = SERVER_DEFAULTS.with_values(["server-lapse=60"])

    async def test_silent_server_is_removed_and_rejoins(self) -> None:
        one, other = await self.several()
        await one.beats.beat()
        await other.beats.beat()
        await one.beats.beat()
        self.assertTrue(one.beats.knows("node1") and other.beats.knows("node0"))
        self.clock.by = 61
        await one.beats.beat()
        await one.beats.beat()
        self.assertEqual(one.parted, ["node1"])
        await other.beats.beat()
        self.assertEqual(other.parted, ["me"])
        self.assertNotEqual(other.node.name, "node1")
        await other.beats.beat()
        await one.beats.beat()
        self.assertTrue(one.beats.knows(other.node.name))

    async def test_members_of_an_unknown_server_are_removed_at_the_second_beat(
        self,
    ) -> None:
        one, other = await self.several()
        await one.enter("ghost", RoomSeat("long gone", 1, "sha256:GUEST", "192.0.2.1"))
        await one.enter("bob", other.seat())
        await self.until(lambda: self.agreed(one, other))
        await one.beats.beat()
        self.assertEqual(one.parted, [])
        await other.beats.beat()  # a server that comes between two beats is there
        await one.beats.beat()
        self.assertEqual((one.parted, one.counts), (["long gone"], [1, 1]))

    async def test_stopping_server_reports_its_end(self) -> None:
        one, other = await self.several()
        for server in (one, other):
            server.beats.startService()
            self.addCleanup(server.beats.end)
        await self.until(lambda: one.beats.knows("node1"))
        await other.beats.end()
        await self.until(lambda: one.parted == ["node1"])

    async def test_an_emptied_redis_is_noticed(self) -> None:
        one, other = await self.several()
        for server in (one, other):
            await server.beats.beat()
        await self.ask(one.client, "FLUSHALL")
        for server in (one, other):
            await server.beats.beat()
            await server.beats.beat()
        self.assertIn("everything", one.gone)
        self.assertIn("everything", other.gone)
        self.assertEqual(one.parted, [])

    async def test_a_redis_with_older_data_is_noticed(self) -> None:
        one, other = await self.several()
        for server in (one, one, one, other):
            await server.beats.beat()
        await self.ask(one.client, "HSET", NODES, one.name, "1")
        for server in (one, other):
            await server.beats.beat()
        self.assertEqual((one.gone, other.gone), (["everything"], []))
        await one.beats.beat()
        self.assertEqual((one.gone, one.parted), (["everything"], []))

    async def test_stopped_watch_reads_no_room_again(self) -> None:
        one, _ = await self.several()
        stopped = one.watch.stopService()
        assert stopped is not None
        await stopped
        self.redis.kill()
        await self.until(lambda: one.client._connection is None)
        one.watch.look_again([TEA])  # a request in vain would be repeated, and leave a timer behind
        self.assertEqual(one.watch._readings, set())
        self.flushLoggedErrors()

    async def test_no_server_is_removed_while_redis_is_unreachable(self) -> None:
        one, other = await self.several()
        for server in (one, other, one):
            await server.beats.beat()
        self.redis.kill()
        await self.until(lambda: one.client._connection is None)
        await one.beats.beat()
        await self.wait(0.3)
        self.redis.start()
        await self.until(lambda: one.client._connection is not None)
        await one.beats.beat()
        await one.beats.beat()
        self.assertEqual(one.parted, [])
        self.flushLoggedErrors()
