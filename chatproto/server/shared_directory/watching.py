"""Send clients of this server the presence of the ids they watch, at all servers (PROTOCOL.md, section 3)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.directory.group import may_see
from chatproto.directory.keyed import state_of
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.directory.shared import GroupState, PresenceNotice
from chatproto.directory.shared_view import away_since
from chatproto.directory.watchers import Watchers
from chatproto.server.shared_directory.groups import DirectoryContext, GroupDecision
from chatproto.server.shared_directory.own import OwnIds
from chatproto.wire import bcp2_server
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.fields import fold

AGAIN = 1.0
"""Seconds before a retry while Redis is unavailable."""


class SharedWatches:
    """Ids that clients of this server watch, with their last known presence."""

    log = Logger()

    def __init__(self, context: DirectoryContext) -> None:
        self._context = context
        self._watchers = Watchers(context.limits.watches)
        self._known: OwnIds[PresenceNotice] = OwnIds()
        """Last known presence of each watched id."""
        self._asked: dict[str, int] = {}  # number of running WATCH requests by id
        self._leaving: OrderedDict[str, tuple[float, Registration]] = OrderedDict()
        """Ids that watchers still see online, with the end of their grace; the earliest first."""
        self._again: OrderedDict[str, None] = OrderedDict()
        self._asking: Deferred[None] | None = None

    async def watch(self, message: bcp2_server.Watch, client: ClientConnection) -> None:
        """Answer WATCH. Raises RemoteError: 404, 413 for too many."""
        peer_id = message.peer_id
        self._asked[peer_id] = self._asked.get(peer_id, 0) + 1
        try:
            state = await self._enter(peer_id, client)
            self._learn(PresenceNotice(peer_id, state.version, state.presences.get(peer_id)))
            if client.number in self._context.own.connections:
                news = state_of(peer_id, self._registration(peer_id))
                self._watchers.add(client, news)
                self._context.tell(client, bcp2_server.WatchAck(message.cseq, peer_id))
                self._context.tell(client, news)
        finally:
            self._asked[peer_id] -= 1
            if not self._asked[peer_id]:
                del self._asked[peer_id]
                self._let_go(peer_id)

    async def _enter(self, peer_id: str, client: ClientConnection) -> GroupState:
        """Add this server to the nodes that watch an id, and return its group."""
        key, watches = client.key, client.watches

        async def decide(state: GroupState) -> GroupDecision:
            group = self._context.groups.as_group(state)
            hidden = state.owned[peer_id].allow if peer_id in state.owned else None
            presence = group.presences.get(peer_id)
            if not may_see(key, presence, hidden, key == group.owner and peer_id in group.ids):
                raise RemoteError(404, "no such client")
            if presence is None and group.owner is None:
                raise RemoteError(404, "no such client")
            if peer_id not in watches and len(watches) >= self._context.limits.watches:
                raise RemoteError(413, "too many watches")
            return await self._entered(state)

        after = await self._context.groups.change(peer_id, decide)
        assert after is not None
        return after

    async def _entered(self, state: GroupState) -> GroupDecision:
        """Return the group with this server, by its current name, among the nodes that watch it."""
        others = {node for node in state.watching if node not in self._context.own.node}
        return GroupDecision(
            replace(state, watching=frozenset(others | {self._context.own.node.name}))
        )

    def unwatch(self, client: ClientConnection, peer_id: str) -> None:
        """Stop telling a client about an id."""
        self._watchers.remove(client, peer_id)
        self._let_go(peer_id)

    def lost(self, client: ClientConnection) -> None:
        """Remove all watches of a client whose connection has ended."""
        watched = tuple(client.watches)
        self._watchers.lost(client)
        for peer_id in watched:
            self._let_go(peer_id)

    def _let_go(self, peer_id: str) -> None:
        if not self._watchers.watched(peer_id) and peer_id not in self._asked:
            self._known.pop(peer_id)
            self._leaving.pop(peer_id, None)

    # Notices.

    def changed(self, notice: PresenceNotice, here: bool = False) -> None:
        """Handle a change of an id; `here`: this server has committed it."""
        peer_id = notice.client_id
        if peer_id in self._asked or self._watchers.watched(peer_id):
            self._learn(notice)
        elif not here and not self._known.alike(peer_id):
            Deferred.fromCoroutine(self._leave(peer_id)).addErrback(self._failed)

    async def _leave(self, peer_id: str) -> None:
        """Remove this server from the nodes that watch an id: none of its clients watches it."""

        async def decide(state: GroupState) -> GroupDecision | None:
            asked = any(fold(one) == state.fold for one in self._asked)
            if asked or self._known.alike(peer_id):
                return None
            others = {node for node in state.watching if node not in self._context.own.node}
            return GroupDecision(replace(state, watching=frozenset(others)))

        await self._context.groups.change(peer_id, decide)

    def _learn(self, notice: PresenceNotice) -> None:
        """Store the presence of a watched id, unless a newer one is known, and tell its watchers."""
        peer_id, former = notice.client_id, self._known.get(notice.client_id)
        if former is not None and notice.version <= former.version:
            return
        self._known.put(peer_id, notice)
        presence = self._registration(peer_id)
        if presence is not None and presence.connected:
            self._leaving.pop(peer_id, None)
            self._context.push(self._watchers.tell(peer_id, "online", presence))
        elif presence is None:
            self._leaving.pop(peer_id, None)
            last = former.presence.registration if former and former.presence else None
            self._context.push(self._watchers.tell(peer_id, "offline", last))
        else:
            self._leave_after_grace(peer_id, presence)

    def _leave_after_grace(self, peer_id: str, presence: Registration) -> None:
        end = self._context.clock.seconds() + self._context.limits.presence_grace
        self._leaving.setdefault(peer_id, (end, presence))

    def _registration(self, peer_id: str) -> Registration | None:
        known = self._known.get(peer_id)
        return known.presence.registration if known is not None and known.presence else None

    def node_lost(self, node: str) -> None:
        """Handle the end of a server: its clients are away."""
        for known in self._known.values():
            there, peer_id = known.presence, known.client_id
            if there is None or there.registration.client.node != node:
                continue
            if there.registration.connected:
                away = away_since(there, self._context.now())
                self._known.put(peer_id, replace(known, presence=away))
                self._leave_after_grace(peer_id, away.registration)

    def due(self) -> None:
        """Tell watchers that ids whose grace has passed are offline."""
        now = self._context.clock.seconds()
        while self._leaving:
            peer_id, (at, presence) = next(iter(self._leaving.items()))
            if at > now:
                break
            del self._leaving[peer_id]
            self._context.push(self._watchers.tell(peer_id, "offline", presence))

    # After notices may have been missed.

    def ask_again(self) -> None:
        """Load all watched ids again, and watch them under the current name of this server."""
        self._again.update(dict.fromkeys(self._known))
        if self._asking is None and self._again:
            self._asking = Deferred.fromCoroutine(self._ask_all())
            self._asking.addBoth(self._asked_all)

    def stop(self) -> None:
        """Stop loading watched ids."""
        self._again.clear()
        if self._asking is not None:
            self._asking.cancel()

    async def _ask_all(self) -> None:
        while self._again:
            peer_id, _ = self._again.popitem(last=False)
            if self._known.get(peer_id) is None:
                continue
            try:
                await self._ask(peer_id)
            except StoreTrouble:
                self._again[peer_id] = None
                await deferLater(self._context.clock, AGAIN, lambda: None)
            except RemoteError:
                pass  # too many changes by other servers: the next one sends a notice

    async def _ask(self, peer_id: str) -> None:
        after = await self._context.groups.change(peer_id, self._entered)
        known = self._known.get(peer_id)
        if after is not None and known is not None:
            self._known.put(peer_id, replace(known, version=-1))
            self._learn(PresenceNotice(peer_id, after.version, after.presences.get(peer_id)))

    def _asked_all(self, result: Any) -> None:
        self._asking = None
        if isinstance(result, Failure):
            self._failed(result)

    def _failed(self, failure: Failure) -> None:
        if failure.check(RemoteError) is None:
            self.log.failure("a watched id could not be asked about", failure)
