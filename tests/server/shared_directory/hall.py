"""Servers of one process over a real Redis, and their clients: effects are brought to them."""

from __future__ import annotations

from itertools import count
from time import time
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.shared import OwnNode
from chatproto.server.connection import Answers
from chatproto.server.secure_side import SecureSide
from chatproto.server.shared_directory.directory import SharedDirectory
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.open import MemoryStore
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.inbox import Inbox
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import ClassicRegister, Message
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from tests.contracts.names import key
from tests.stores.redis.case import RedisCase

NUMBERS = count(1)


class Person:
    """A connection with a key to a server, and what it is told."""

    def __init__(self, server: OneServer, name: str, owner: int) -> None:
        self.server = server
        self.name = name
        host = f"198.51.100.{owner}"
        self.client = ClientConnection(key(owner), host, 4000 + owner, number=next(NUMBERS))
        self.got: list[Any] = []
        self.gone = False
        self._cseq = count(1)
        server.secure.connections[self.client] = cast(Any, self)

    def ask(self, kind: type[Any], *values: Any, **more: Any) -> int:
        cseq = next(self._cseq)
        self.server.directory.take(kind(cseq, *values, **more), self.client)
        return cseq

    async def answer(self, kind: type[Any], *values: Any, **more: Any) -> Any:
        return await self.answered(self.ask(kind, *values, **more))

    async def answered(self, cseq: int) -> Any:
        found: list[Any] = []
        while not found and not self.gone:
            await self.server.case.wait(0.002)
            found = [one for one in self.got if getattr(one, "cseq", None) == cseq]
        return found[-1] if found else None

    async def register(self, name: str = "", **more: Any) -> Any:
        return await self.answer(bcp2_server.Register, name or self.name, 5000, **more)

    async def told(self, kind: type[Any], number: int = 1) -> Any:
        await self.server.case.until(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    def say(self, message: Bcp2Message) -> None:
        self.got.append(message)

    def dismiss(self, message: Bcp2Message) -> None:
        self.got.append(message)
        self.leave()

    def resume(self) -> None: ...

    def leave(self) -> None:
        if not self.gone:
            self.gone = True
            del self.server.secure.connections[self.client]
            self.server.directory.connection_lost(self.client, "")

    def of(self, *kinds: type[Any]) -> list[Any]:
        """List the received messages of these kinds."""
        return [one for one in self.got if isinstance(one, kinds)]


class Caller:
    """A connection in plain text."""

    def __init__(self, server: OneServer, host: str = "") -> None:
        self.server = server
        self.came = next(NUMBERS)
        self.source = Origin(host or f"198.51.101.{self.came % 250}", 5000, False)
        self.got: list[Message] = []

    async def ask(self, *messages: Message) -> Any:
        before = len(self.got)
        self.server.directory.take_plain(cast(Any, self), list(messages))
        await self.server.case.until(lambda: len(self.got) >= before + len(messages))
        return self.got[-1]

    async def register(self, name: str) -> Any:
        return await self.ask(ClassicRegister(name, self.source.host, 3000))

    def answered(self, answers: Answers) -> None:
        self.got += [answer for _, answer in answers]

    def leave(self) -> None:
        self.source.alive = False
        self.server.directory.closed(cast(Any, self))


class Rooms:
    """Rooms that answer at once, and write down what they hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def ask(self, message: Bcp2Message, client: ClientConnection) -> Deferred[None]:
        self.heard.append(type(message).__name__)
        answered: Deferred[None] = Deferred()
        answered.callback(None)
        return answered

    def answered(self, client: ClientConnection) -> None: ...

    def follow(self, client: ClientConnection) -> None:
        self.heard.append(f"is {client.client_id}")

    def connection_lost(self, client: ClientConnection, reason: str = "") -> None:
        self.heard.append("gone")


class OneServer:
    """One of the servers. `url`: the way to Redis."""

    def __init__(self, case: HallCase, client: RedisClient, name: str, url: str) -> None:
        self.case = case
        self.name = name
        limits = case.limits
        place = RedisUrl(url)
        names = iter([name, *(f"{name}-{number}" for number in range(1000))])
        self.node = OwnNode(lambda: next(names))
        memory = MemoryStore(limits)
        keyed = KeyedDirectory(memory.names, memory.registry, str, limits)
        self.secure = SecureSide(cast(Any, None), keyed, WorkQueue(case.clock))
        self.client = client
        table = NodeTable(limits.server_lapse)
        self.store = RedisDirectory(client, limits, case.new_token, table)
        self.rooms = Rooms()
        clock: Any = case.clock
        self.directory = SharedDirectory(
            *(clock, cast(Any, self.store), self.secure, self.node, limits, case.now),
            *(lambda: f"{next(NUMBERS):016x}", lambda *_: ("A" * 26, "B" * 26)),
        )
        self.directory.maker.relay = (f"{name}.example", 5555)
        self.directory.serve(cast(Any, self.rooms))
        self.watch = RoomWatch(reactor, place, RedisRooms(client, 0, limits, case.new_token))
        self.inbox = Inbox(reactor, place, self.node, self.directory)
        listeners = [self.directory]
        self.beats = Beats(
            *(clock, client, self.watch, limits, self.node, table, listeners, case.now)
        )

    def person(self, name: str, owner: int) -> Person:
        return Person(self, name, owner)

    def caller(self, host: str = "") -> Caller:
        return Caller(self, host)

    async def settled(self) -> None:
        """Wait until what is in Redis is as this server's connections are."""
        await self.case.until(lambda: not len(self.directory._settler))


class HallCase(RedisCase):
    """Servers whose beats are the test's, and whose time is the test's too."""

    limits: ServerLimits = SERVER_DEFAULTS.with_values(["server-lapse=100000000"])

    def now(self) -> float:
        return time() + self.clock.by

    async def server(self, name: str, url: str = "", beat: bool = True) -> OneServer:
        one = OneServer(self, await self.client(url), name, url or self.redis.url)
        for service in (one.watch, one.inbox):
            service.startService()
            self.addCleanup(service.stopService)
        self.addCleanup(one.directory.stop)
        await self.until(lambda: one.watch.is_up and one.inbox.is_up)
        if beat:
            await one.beats.beat()
        return one

    async def servers(self, count: int = 2) -> list[OneServer]:
        found = [await self.server(f"node{number}") for number in range(count)]
        for one in found:
            await one.beats.beat()
        return found

    def ahead(self, seconds: float, *servers: OneServer) -> None:
        """Let time pass."""
        self.clock.by += seconds
        for one in servers:
            one.directory.tick()
