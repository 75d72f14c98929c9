"""Send this server's heartbeats, and detect stopped servers and missed events.

Redis keys: `:nodes`, a hash of counters that increase while their servers run, `chatproto:gone`, a
sorted set of servers by when they left, and `:epoch`, a text that differs after Redis was emptied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from chatproto.net.coroutine_service import CoroutineService
from chatproto.rooms.shared import OwnNode, RoomCopy
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.node_table import GONE, NODES, NodeTable, inbox_key
from chatproto.stores.redis.room_store import USED, room_key
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.scripts import BEAT, GIVE_UP
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits

EPOCH = "chatproto:epoch"
REMEMBERED = 86400.0
"""Seconds for which the end of a server is stored; no shorter than a lease without a connection."""
COUNTER = re.compile(r"[0-9]{1,18}")
"""Form of a node's counter."""
SOONEST = 0.05
"""Seconds between two beats while the room subscription is missing."""


class BeatListener(Protocol):
    """Receiver of what beats detect."""

    def beat(self, rooms: int) -> None:
        """Handle a beat that the other servers can see; `rooms`: number of rooms."""

    def node_lost(self, node: str) -> None:
        """Handle the end of another server."""

    def rejoin(self) -> None:
        """Handle that the other servers have removed this one; it has a new name now."""

    def emptied(self) -> None:
        """Handle that Redis has another epoch: its data may be lost."""


class Beats(CoroutineService):
    """Heartbeats of this server, every `server_beat` seconds.

    Args: table: running servers. now: seconds since 1970.
    """

    log = Logger()
    failed = "this server says no more that it is there"

    def __init__(
        self,
        reactor: Any,
        client: RedisClient,
        watch: RoomWatch,
        limits: ServerLimits,
        node: OwnNode,
        table: NodeTable,
        listeners: Sequence[BeatListener],
        now: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._watch = watch
        self._node = node
        self._listeners = listeners
        self._now = now
        self._table = table
        self._remembered = max(REMEMBERED, limits.lease_most)
        self._epoch = ""
        self._counter = 0  # of this server, as last seen
        self._said = 0.0  # when the last beat was sent
        self._known = False  # True if Redis knows this server
        self._away = False
        self._parted = False  # it has another name now, which was not reported yet
        self._strangers: set[str] = set()  # nodes of members that were unknown at the last beat
        self._every = limits.server_beat
        self._lapse = limits.server_lapse
        self.first: Deferred[None] = Deferred()
        """Fires at the first complete beat."""

    async def end(self) -> None:
        """Report the end of this server, if Redis is reachable: the others remove its members."""
        if self.running:
            self.stopService()
            try:
                await self._give_up(self._node.name, "")
            except RemoteError:
                pass  # the others will detect it

    def beat(self) -> Deferred[None]:
        """Send one beat, unless Redis is unreachable."""
        return Deferred.fromCoroutine(self._beat())

    def knows(self, node: str) -> bool:
        """Return True if the server `node` is running, as far as is known."""
        return node in self._table

    async def _run(self) -> None:
        while self.running:
            await self._client.wait_connected(self._every)
            await self._beat()
            wait = self._every if self._watch.is_up or self._away else SOONEST
            await deferLater(self._reactor, wait, lambda: None)

    async def _beat(self) -> None:
        try:
            copies, events, found = await self._say_it()
            if len(found) == 2:
                if found[0] == self._epoch:
                    self._part()
                self._known = False
                # Before anything is written under a name that Redis does not know: the other servers
                # would take it for that of a stopped server.
                copies, events, found = await self._say_it()
            await self._learn(found, copies, events)
            if self._parted:
                self._parted = False
                for listener in self._listeners:
                    listener.rejoin()
        except RemoteError:
            self._away = True  # the client reports it

    async def _say_it(self) -> tuple[list[RoomCopy], list[int], Any]:
        """Return the watched rooms with their last events, and the answer of Redis to a beat."""
        self._said = self._reactor.seconds()
        copies = self._watch.copies()
        events = [copy.event for copy in copies]
        keys = (NODES, EPOCH, USED, *(room_key(copy.policy.name) for copy in copies))
        first = "0" if self._known else "1"
        words = self._node.name, first, self._node.new_name(), *map(str, events)
        found = await self._client.run(BEAT, keys, words)
        for key in found[1]:
            self.log.error("{key} in Redis was written by another program: removed", key=key)
        return copies, events, found

    async def _learn(self, found: Any, copies: list[RoomCopy], events: list[int]) -> None:
        epoch, _, pairs, changed, rooms = found
        now = self._reactor.seconds()
        counters = await self._counters(pairs)
        former, self._epoch = self._epoch, epoch
        before, self._counter = self._counter, counters.get(self._node.name, 0)
        if former and (former != epoch or (self._known and self._counter <= before)):
            self._empty()
        self._known = True
        # This server may have been stopped since it sent the beat.
        self._node.confirm(self._said + self._lapse, now)
        gone = self._table.see(counters, now) | self._long_gone(counters, copies)
        for node in gone:
            if node in self._node:
                continue  # a former name of this server
            for listener in self._listeners:
                listener.node_lost(node)
        if self._away:
            self._away = False
            self._table.hold(now)
        # A room with another event by now is not behind: its events are on their way.
        self._watch.look_again(
            [copies[one].policy.name for one in changed if copies[one].event == events[one]]
        )
        if self._watch.is_up:
            for listener in self._listeners:
                listener.beat(rooms)
            if not self.first.called:
                self.first.callback(None)
        for node, counter in self._table.late(now):
            await self._give_up(node, str(counter))

    async def _counters(self, pairs: list[Any]) -> dict[str, int]:
        """Return the counter of each node; an entry that no server has written is removed."""
        found = {}
        for node, counter in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(node, str) and isinstance(counter, str) and COUNTER.fullmatch(counter):
                found[node] = int(counter)
            else:
                self.log.error("{node} in {key} is no server: removed", node=repr(node), key=NODES)
                await self._client.ask("HDEL", NODES, node)
        return found

    async def _give_up(self, node: str, counter: str) -> None:
        now = self._now()
        keys = NODES, GONE, inbox_key(node)
        words = node, counter, repr(now), repr(now - self._remembered)
        await self._client.run(GIVE_UP, keys, words)

    def _long_gone(self, counters: dict[str, int], copies: list[RoomCopy]) -> set[str]:
        """Return the nodes of members that are unknown for the second time: their end was not noticed.

        A server may have started after the nodes were read, and have members already; but not at both
        beats.
        """
        nodes = {seat.node for copy in copies for seat in copy.members.values()}
        before, self._strangers = self._strangers, nodes - counters.keys()
        return before & self._strangers

    def _empty(self) -> None:
        self.log.warn("Redis was emptied, or has older data: what nobody here holds is gone")
        for listener in self._listeners:
            listener.emptied()

    def _part(self) -> None:
        """Continue under another name: the members of the former one were removed."""
        self.log.warn("the other servers have given this one up: it comes in again")
        self._parted = True
        self._node.renew()
