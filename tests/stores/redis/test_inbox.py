"""The inbox of a server in a real Redis: nothing is lost without a sign."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.logger import ILogObserver, LogEvent, Logger

from chatproto.directory.shared import Notice, ToClient
from chatproto.rooms.shared import OwnNode
from chatproto.stores.redis import inbox as inbox_module
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.inbox import Inbox
from chatproto.stores.redis.node_table import NODES, NodeTable, inbox_key
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.ports import free_port
from tests.stores.redis.case import RedisCase
from tests.stores.redis.lossy import Lossy


class Heard:
    """An InboxListener that remembers all."""

    def __init__(self) -> None:
        self.notices: list[Any] = []

    def noticed(self, notice: Notice) -> None:
        assert isinstance(notice, ToClient)
        if notice.text == "trouble":
            raise ValueError(notice.text)
        self.notices.append(notice.number)

    def missed(self) -> None:
        self.notices.append("missed")


class InboxCase(RedisCase):
    def inbox(self, url: str = "") -> Inbox:
        names = count(1)
        self.node, self.heard = OwnNode(lambda: f"node{next(names)}"), Heard()
        inbox = Inbox(reactor, RedisUrl(url or self.redis.url), self.node, self.heard)
        self.addCleanup(inbox.stopService)
        return inbox

    async def sender(self) -> RedisDirectory:
        client = await self.client()
        await self.there(client, "node1", "node2")
        table = NodeTable(10.0)
        return RedisDirectory(client, SERVER_DEFAULTS, self.new_token, table)

    async def there(self, client: RedisClient, *nodes: str) -> None:
        for node in nodes:
            await self.ask(client, "HSET", NODES, node, "1")

    async def send(self, sender: RedisDirectory, *numbers: int, to: str = "node1") -> None:
        for number in numbers:
            self.assertTrue(await sender.send(to, ToClient(number, "text")))

    async def hears(self, *wanted: Any) -> None:
        await self.until(lambda: len(self.heard.notices) >= len(wanted))
        self.assertEqual(self.heard.notices, list(wanted))


class InboxTests(InboxCase):
    async def test_notices_arrive_in_order_across_a_break(self) -> None:
        lossy = Lossy(self.redis.port)
        self.addCleanup(lambda: ensureDeferred(lossy.close()))
        sender, inbox = await self.sender(), self.inbox(lossy.url)
        await self.send(sender, 1, 2)
        inbox.startService()
        await self.hears(1, 2)
        self.assertTrue(inbox.is_up)
        lossy.cut()
        await self.send(sender, 3)
        await self.hears(1, 2, 3)
        stopped = inbox.stopService()
        assert stopped is not None
        await stopped
        await self.send(sender, 4, 5)
        self.assertEqual(self.heard.notices, [1, 2, 3])

    async def test_a_redis_that_is_away_is_one_line_in_the_log(self) -> None:
        lines: list[LogEvent] = []
        self.patch(Inbox, "log", Logger(observer=cast(ILogObserver, lines.append)))
        lossy = Lossy(free_port())
        self.addCleanup(lambda: ensureDeferred(lossy.close()))
        self.inbox(lossy.url).startService()
        await self.until(lambda: len(lossy.connections) > 3)
        self.assertEqual(len(lines), 1)

    async def test_trimmed_notices_are_reported_as_missed(self) -> None:
        self.patch(inbox_module, "AT_ONCE", 2)
        sender, inbox = await self.sender(), self.inbox()
        await self.send(sender, 1, 2, 3, 4, 5)
        await self.ask(sender._client, "XTRIM", inbox_key("node1"), "MAXLEN", "3")
        inbox.startService()
        await self.hears("missed", 3, 4, 5)

    async def test_an_inbox_is_bounded(self) -> None:
        sender = await self.sender()
        client, key = sender._client, inbox_key("node1")
        fill = "for n = 1, 15000 do redis.call('XADD', KEYS[1], n .. '-0', 'b', 'x') end"
        await self.ask(client, "EVAL", fill, "1", key)
        await self.send(sender, 1)
        self.assertLess(await self.ask(client, "XLEN", key), 10_200)

    async def test_one_that_vanished_is_read_from_its_beginning(self) -> None:
        self.patch(inbox_module, "BLOCK", 0.05)
        sender, inbox = await self.sender(), self.inbox()
        inbox.startService()
        await self.send(sender, 1, 2)
        await self.hears(1, 2)
        await self.ask(sender._client, "FLUSHALL")
        await self.hears(1, 2, "missed")
        await self.there(sender._client, "node1")
        await self.send(sender, 3)
        await self.hears(1, 2, "missed", 3)

    async def test_notices_for_a_former_name_are_dropped(self) -> None:
        sender, inbox = await self.sender(), self.inbox()
        inbox.startService()
        while "blocked_clients:1" not in await self.ask(sender._client, "INFO", "clients"):
            await self.wait(0.01)
        self.node.renew()
        await self.send(sender, 1)
        await self.send(sender, 2, to="node2")
        await self.hears(2)

    async def test_poison_and_trouble_are_skipped_and_a_new_name_is_followed(self) -> None:
        self.patch(inbox_module, "BLOCK", 0.05)
        sender, inbox = await self.sender(), self.inbox()
        client, key = sender._client, inbox_key("node1")
        inbox.startService()
        await self.ask(client, "XADD", key, "1-0", "b", '["client", "x"]')
        await self.ask(client, "XADD", key, "2-0", "other", '["client"]')
        self.assertTrue(await sender.send("node1", ToClient(3, "trouble")))
        await self.send(sender, 4)
        await self.hears(4)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.node.renew()
        await self.send(sender, 1, to="node2")
        await self.hears(4, 1)
        await self.ask(client, "DEL", inbox_key("node2"))
        await self.ask(client, "SET", inbox_key("node2"), "poison")
        await self.until(lambda: not inbox.is_up)
