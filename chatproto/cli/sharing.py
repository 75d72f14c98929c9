"""Put together one server of several: `--store redis://…`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, cast

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.cli.older_log import OlderLog
from chatproto.directory.introducing import NewTickets
from chatproto.directory.shared_store import SharedDirectoryStore
from chatproto.rooms.shared import OwnNode
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import EXPIRY_INTERVAL, PRESENCE_INTERVAL
from chatproto.server.shared_directory.directory import SharedDirectory
from chatproto.server.shared_rooms.rooms import SharedRooms
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.client import LATEST, RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.inbox import Inbox
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.server_key import other_key
from chatproto.stores.redis.url import RedisUrl
from chatproto.stores.timed import Spend, TimedDirectory
from chatproto.wire.errors import RemoteError, Unreadable
from chatproto.wire.limits import ServerLimits

FAREWELL = 1.0
"""Seconds that a stopping server waits until the others know."""


class Sharing(MultiService):
    """The shared directory and rooms. `ready` fires, with True if Redis is reachable, when that is
    known.

    Args: key: name of the servers' key. delivery: sends events of rooms. keeps_lobby: this server has a
    port for the lobby. unfit: called with a sentence why this server cannot be one of them. spend:
    called with the time of each call of the store.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        redis_url: RedisUrl,
        key: str,
        limits: ServerLimits,
        secure: SecureSide,
        delivery: RoomDelivery,
        keeps_lobby: bool,
        new_tickets: NewTickets,
        say: Callable[[str], None] | None,
        unfit: Callable[[str], None],
        spend: Spend | None = None,
    ) -> None:
        super().__init__()
        self.ready: Deferred[bool] = Deferred()
        self.redis_url = redis_url
        self._reactor = reactor
        self._key = key
        self._unfit = unfit
        node = OwnNode(_new_name)
        self._client = client = RedisClient(reactor, redis_url)
        now = delivery.times.monotonic
        rooms = RedisRooms(client, redis_url.database, limits, _new_name)
        self._watch = RoomWatch(reactor, redis_url, rooms)
        table = NodeTable(limits.server_lapse)
        found: Any = RedisDirectory(client, limits, _new_name, table)
        store = cast(SharedDirectoryStore, found if spend is None else TimedDirectory(found, spend))
        self._older = OlderLog(
            *(reactor, client, store, rooms, limits, now), lambda: self._known(False)
        )
        self.directory = SharedDirectory(
            *(reactor, store, secure, node, limits, now, _new_name, new_tickets, say)
        )
        self.rooms = SharedRooms(
            *(reactor, rooms, self._watch, limits, node, delivery),
            look_up=self.directory.look_up,
            tell=self.directory.tell,
            keeps_lobby=keeps_lobby,
        )
        self.directory.serve(self.rooms)
        self._inbox = Inbox(reactor, redis_url, node, self.directory)
        listeners = self.rooms, self.directory
        self._beats = Beats(reactor, client, self._watch, limits, node, table, listeners, now)
        self._beats.first.addCallback(lambda _: self._known(True))
        self._begun: Deferred[None] | None = None
        client.setServiceParent(self)

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at present, in one sentence; empty if it can."""
        up = self._watch.is_up and self._inbox.is_up and self._beats.first.called
        if up and not self._client.why:
            return self.directory.trouble
        if self._older.trouble:
            return self._older.trouble
        why = self._client.why
        return f"cannot reach {self.redis_url}: {why}" if why else f"cannot reach {self.redis_url}"

    def startService(self) -> None:
        super().startService()
        self._begun = Deferred.fromCoroutine(self._begin())
        self._begun.addErrback(self._failed)

    def stopService(self) -> Deferred[Any]:
        if self._begun is not None:
            self._begun.cancel()
        self.directory.stop()
        ended = Deferred.fromCoroutine(self._beats.end()).addTimeout(FAREWELL, self._reactor)
        ended.addErrback(lambda _: None)
        return ended.addCallback(lambda _: super(Sharing, self).stopService())

    async def _begin(self) -> None:
        while True:
            await self._client.wait_connected(LATEST)
            try:
                if not await self._fits():
                    return
                await self._older.take_over()
                break
            except RemoteError:
                self._known(False)
                await deferLater(self._reactor, LATEST, lambda: None)  # the client logs it
        care = TimerService(EXPIRY_INTERVAL, self._care)
        ticks = TimerService(PRESENCE_INTERVAL, self.directory.tick)
        care.clock = ticks.clock = self._reactor
        for service in (self._watch, self._inbox, self._beats, care, ticks):
            service.setServiceParent(self)

    async def _fits(self) -> bool:
        """Return True if the servers of this Redis have the same key. Raises StoreTrouble."""
        other = await other_key(self._client, self._key)
        if not other:
            return True
        self._unfit(
            f"{self.redis_url} belongs to servers with the key {other}, this server has"
            f" {self._key}: copy their key.pem here, or use another database"
        )
        return False

    def _care(self) -> Deferred[None]:
        """Remove expired data. An error of the store is retried."""
        due = Deferred.fromCoroutine(self._look_after())
        return due.addErrback(lambda failure: failure.trap(RemoteError) and None)

    async def _look_after(self) -> None:
        try:
            await self.directory.due()
        except Unreadable:
            pass  # it is logged, and the rooms can be handled
        await self.rooms.due(self._beats.knows)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("the directory and the rooms cannot be served", failure)

    def _known(self, there: bool) -> None:
        if not self.ready.called:
            self.ready.callback(there)


def _new_name() -> str:
    """Return a unique name."""
    return secrets.token_hex(8)
