"""The log of an older version in a real Redis; without Redis the tests are skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from chatproto.cli.older_log import DONE, LOG, OLDER_SERVERS, PICTURE, ROOMS, OlderLog
from chatproto.rooms.shared import RoomCopy
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.limits import Limits
from tests.stores.redis.case import RedisCase

OLD = Path(__file__).parent.parent / "old" / "redis-log.json"
"""A snapshot of form 2 and the entries after it, as a server of protocol 2 has written them."""
NOW = 2_000_000.0


class OlderLogTests(RedisCase):
    async def begin(self) -> None:
        self.client_ = await self.client()
        await self.fill()
        self.rooms = self.store(self.client_)
        self.directory = RedisDirectory(
            self.client_, SERVER_DEFAULTS, self.new_token, NodeTable(10.0)
        )

    async def fill(self) -> None:
        """Fill Redis with the older log, its first entries before the snapshot."""
        old = json.loads(OLD.read_text(encoding="utf-8"))
        await self.ask(self.client_, "XADD", LOG, "1-0", "b", "before the snapshot")
        await self.ask(self.client_, "SET", PICTURE, "1-0")
        await self.ask(self.client_, "RPUSH", f"{PICTURE}:1-0", *old["picture"])
        for number, (at, line) in enumerate(old["entries"]):
            await self.ask(self.client_, "XADD", LOG, f"{int(at * 1000)}-{number}", "b", line)

    def store(self, client: RedisClient) -> RedisRooms:
        return RedisRooms(client, 0, SERVER_DEFAULTS, self.new_token)

    def older(self, now: float = NOW, waits: Callable[[], None] = lambda: None) -> OlderLog:
        limits = Limits(server_beat=0.02)
        return OlderLog(
            *(reactor, self.client_, self.directory, self.rooms, limits, lambda: now), waits
        )

    async def texts(self, room: str) -> list[str]:
        page = await self.rooms.page(room, None, None, 100, 100_000)
        return [line.text for line in page.lines]

    async def test_rooms_history_and_moderation_are_taken_over(self) -> None:
        await self.begin()
        await self.older().take_over()
        self.assertEqual(await self.rooms.names(), ["#late", "#lobby", "#quiet", "#tea"])
        self.assertEqual(await self.rooms.listed("", 9), ["#late", "#lobby", "#tea"])
        said = [*(f"before {n}" for n in range(5)), *(f"after {n}" for n in range(3))]
        self.assertEqual(await self.texts("#tea"), said)
        self.assertEqual(await self.texts("#late"), ["late"])
        self.assertEqual(await self.texts("#lobby"), ["hello", "hello again"])
        tea, _ = await self.rooms.read("#tea")
        policy = tea.policy
        self.assertEqual((policy.owner, policy.topic, tea.members), (key(1), "with milk", {}))
        self.assertEqual([*policy.ops], [key(2)])
        self.assertTrue(policy.is_banned("carol", "", "", NOW))
        self.assertEqual([*policy.mutes], [key(2)])
        late, _ = await self.rooms.read("#late")
        self.assertEqual(late.policy.topic, "by the operator")
        quiet, _ = await self.rooms.read("#quiet")
        quiet.policy.check_entry("x", key(9), "", "earl grey", NOW)
        self.assertEqual(await self.rooms.owned(key(2)), ["#quiet"])

    async def test_ids_and_registrations_are_taken_over(self) -> None:
        await self.begin()
        log_end = 1_000_003.0
        await self.older(log_end).take_over()
        ids = {}
        for client_id in ("alice", "bob", "carol"):
            group = await self.directory.load(client_id)
            ids[client_id] = group.owner
            owned = group.owned[client_id]
            end = owned.until - SERVER_DEFAULTS.keep_names
            self.assertApproximates(end, 1_000_001.0, 5.0)
            self.assertEqual([*await self.directory.reserved(group.owner or "")], [client_id])
            registration = group.presences[client_id].registration
            self.assertApproximates(registration.until, log_end + registration.expires, 5.0)
            self.assertFalse(registration.connected)
        self.assertEqual(ids, {"alice": key(1), "bob": key(2), "carol": key(3)})
        self.assertEqual(await self.directory.due(2e9, 9), ["allce", "bob", "carol", "dave"])

    async def test_the_directory_follows_where_rooms_were_taken_over_before(self) -> None:
        await self.begin()
        await self.ask(self.client_, "SET", DONE, ROOMS)
        await self.older(1_000_003.0).take_over()
        self.assertEqual(await self.rooms.names(), [])
        self.assertEqual((await self.directory.load("alice")).owner, key(1))

    async def test_copy_waits_for_the_end_of_older_servers(self) -> None:
        await self.begin()
        waits: list[str] = []
        older = self.older(1_000_003.0, lambda: waits.append(older.trouble))
        taking = ensureDeferred(older.take_over())
        for number in range(10):
            await self.ask(self.client_, "XADD", LOG, "*", "b", f"beat {number}")
            await self.wait(0.03)
        self.assertFalse(taking.called)
        self.assertEqual(waits, [OLDER_SERVERS])
        await taking
        self.assertEqual(older.trouble, "")
        self.assertEqual(await self.ask(self.client_, "GET", DONE), "2")

    async def test_numbers_continue(self) -> None:
        await self.begin()
        await self.older().take_over()
        page = await self.rooms.page("#tea", None, None, 100, 100_000)
        tea, _ = await self.rooms.read("#tea")
        numbers = [line.number for line in page.lines]
        self.assertEqual(numbers, [*range(numbers[0], tea.last + 1)])

    async def test_copy_is_made_once(self) -> None:
        await self.begin()
        await self.older().take_over()
        tea, _ = await self.rooms.read("#tea")
        changed = tea.policy.changed(topic="new")
        await self.rooms.change(RoomCopy(tea), changed, None, NOW)
        await self.older().take_over()
        # Nor if somebody begins anew after a crash before the end, or two do it at once.
        await self.ask(self.client_, "DEL", DONE)
        await self.ask(self.client_, "XTRIM", "chatproto:{r:#tea}:s", "MAXLEN", "2")
        await self.older().take_over()
        tea, _ = await self.rooms.read("#tea")
        self.assertEqual(
            (tea.policy.topic, await self.texts("#tea")), ("new", ["after 1", "after 2"])
        )

    async def test_poison_and_an_empty_redis_are_no_trouble(self) -> None:
        await self.begin()
        await self.ask(self.client_, "FLUSHALL")
        await self.older().take_over()
        self.assertEqual(await self.rooms.names(), [])
        await self.fill()
        await self.ask(self.client_, "DEL", DONE)
        await self.ask(self.client_, "XADD", LOG, "*", "b", "[" * 10_000)
        await self.ask(self.client_, "XADD", LOG, "*", "c", "d", "e", "f")
        await self.ask(self.client_, "RPUSH", f"{PICTURE}:1-0", "[[[")
        await self.older().take_over()
        self.assertEqual(await self.rooms.names(), [])
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    async def test_redis_away_is_tried_again_by_the_caller(self) -> None:
        await self.begin()
        self.redis.kill()
        await self.until(lambda: bool(self.client_.why))
        await self.assertFailure(ensureDeferred(self.older().take_over()), StoreTrouble)
        self.flushLoggedErrors()
