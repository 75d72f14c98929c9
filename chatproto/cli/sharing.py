"""Put together one server of several: `--store redis://…`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.cli.older_log import OlderLog
from chatproto.directory.introducing import NewTickets
from chatproto.rooms.shared import OwnNode
from chatproto.server.batches import Batches
from chatproto.server.client_pushes import ClientPushes
from chatproto.server.replica import Replica
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import EXPIRY_INTERVAL, come_back_times
from chatproto.server.shared_rooms.rooms import SharedRooms
from chatproto.server.shared_side import FAREWELL, SharedSide, rules_of
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.client import LATEST, RedisClient
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.log import RedisLog
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.url import RedisUrl
from chatproto.stores.shared import SharedMemory
from chatproto.stores.timed import Spend, TimedLog
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits


class Sharing(MultiService):
    """The log of the directory, and the rooms. `ready` fires, with whether Redis is there, when it is known.

    Args: delivery: sends what happens in rooms. keeps_lobby: this server has a port for the lobby. unfit:
    is told in a sentence why this server cannot be one of them. spend: how long it took to write to the log.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        place: RedisUrl,
        key: str,
        limits: ServerLimits,
        shared: SharedMemory,
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
        self.place = place
        self._reactor = reactor
        node = OwnNode(lambda: secrets.token_hex(8))
        self._client = client = RedisClient(reactor, place)
        now = delivery.times.monotonic
        store = RedisRooms(client, place.database, limits, lambda: secrets.token_hex(8))
        self._watch = RoomWatch(reactor, place, store)
        self._log = log = RedisLog(reactor, place, key, unfit, lambda: self._known(False))
        timed = log if spend is None else TimedLog(log, spend)
        batches = Batches(reactor, timed)
        pushes = ClientPushes(secure, batches.add, limits)
        self.rooms = SharedRooms(
            *(reactor, store, self._watch, limits, node, delivery),
            owner_of=lambda client_id: shared.names.owner(client_id),
            sees=lambda key, client_id: secure.directory.sees(key, client_id),
            tell=pushes.tell,
            keeps_lobby=keeps_lobby,
        )
        table = NodeTable(limits.server_lapse)
        directory = RedisDirectory(client, limits, lambda: secrets.token_hex(8), table)
        self._older = OlderLog(reactor, client, directory, store, limits, now)
        self._beats = Beats(reactor, client, self._watch, limits, node, table, [self.rooms], now)
        self._beats.first.addCallback(lambda _: self._known(True))
        self.replica = Replica(
            *(shared, secure, self.rooms, pushes, limits),
            *(lambda: secrets.token_hex(8), new_tickets, say),
        )
        self.side = log.listener = SharedSide(
            *(reactor, timed, batches, self.replica, self.rooms, pushes),
            *(rules_of(limits), lambda: secrets.token_hex(8), limits, unfit),
            lambda count: secrets.choice(come_back_times(count)),
        )
        self.side.entered = self._entered
        self.side.refuses = lambda: self._known(False)
        self._begun: Deferred[None] | None = None
        log.setServiceParent(self)
        client.setServiceParent(self)

    @property
    def trouble(self) -> str:
        """The sentence why nothing can be stored just now; empty if it can be."""
        if not self.side.away and self._watch.is_up:
            return ""
        why = self._log.why or self.side.refused or self._client.why
        return f"cannot reach {self.place}: {why}" if why else f"cannot reach {self.place}"

    def startService(self) -> None:
        super().startService()
        self.side.start()

    def stopService(self) -> Deferred[Any]:
        if self._begun is not None:
            self._begun.cancel()
        ended = Deferred.fromCoroutine(self._beats.end()).addTimeout(FAREWELL, self._reactor)
        ends = DeferredList([self.side.stop(), ended.addErrback(lambda _: None)])
        return ends.addCallback(lambda _: super(Sharing, self).stopService())

    def _entered(self) -> None:
        """Serve the rooms, now that all other servers there are follow the same rules."""
        if self._begun is None:
            self._begun = Deferred.fromCoroutine(self._begin())
            self._begun.addErrback(self._failed)

    async def _begin(self) -> None:
        while True:
            await self._client.there(LATEST)
            try:
                await self._older.take_over()
                break
            except RemoteError:
                await deferLater(self._reactor, LATEST, lambda: None)  # the client names it
        self.side.allow_snapshots()
        care = TimerService(EXPIRY_INTERVAL, self._care)
        care.clock = self._reactor
        for service in (self._watch, self._beats, care):
            service.setServiceParent(self)

    def _care(self) -> Deferred[None]:
        """Forget what has been kept long enough. Trouble with the store is tried again."""
        due = Deferred.fromCoroutine(self.rooms.due(self._beats.knows))
        return due.addErrback(lambda failure: failure.trap(RemoteError) and None)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("the rooms cannot be served", failure)

    def _known(self, there: bool) -> None:
        if not self.ready.called:
            self.ready.callback(there)
