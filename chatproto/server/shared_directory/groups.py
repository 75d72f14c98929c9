"""Load, change and commit groups of ids, one change of a group at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import DeferredLock

from chatproto.directory.group import Group
from chatproto.directory.registrations import ClientConnection, Effect, PushTo, Registration
from chatproto.directory.shared import (
    GroupState,
    Notice,
    PresenceNotice,
    SharedPresence,
    next_version,
)
from chatproto.directory.shared_store import GroupChanged, SharedDirectoryStore
from chatproto.directory.shared_view import current, group_of, nodes_of
from chatproto.server.shared_directory.own import OwnClients
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError, StoreTrouble, Unreadable
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import value_class

TRIES = 16
"""Decisions on one request before it is refused, if each conflicts with a change by another server."""


@value_class
class GroupDecision:
    """Next state of a group, and notices to single nodes besides those to all nodes that watch it.

    `adds`: a key owns one more id by it, so the limit of ids is checked.
    """

    state: GroupState
    notices: Sequence[tuple[str, Notice]] = ()
    adds: bool = False


Decide = Callable[[GroupState], Awaitable[GroupDecision | None]]


class SharedGroups:
    """Groups in `store`. `now`: the time, in seconds since 1970.

    Args: changed: called with each presence that has changed, and the version of its group.
    """

    def __init__(
        self,
        store: SharedDirectoryStore,
        own: OwnClients,
        limits: ServerLimits,
        now: Callable[[], float],
        changed: Callable[[PresenceNotice], None],
    ) -> None:
        self._store = store
        self._own = own
        self._limits = limits
        self._now = now
        self._changed = changed
        self._locks: dict[str, DeferredLock] = {}
        self._asked = 0

    async def load(self, client_id: str) -> GroupState:
        """Load the current state of a group. Raises StoreTrouble."""
        return (await self._load(client_id))[1]

    async def group(self, client_id: str) -> Group:
        """Load a group for a decision. Raises StoreTrouble."""
        return self.as_group(await self.load(client_id))

    async def connected(self, client_id: str) -> Registration | None:
        """Return the registration of a connected client; None if there is none or its group cannot be read.

        Raises StoreTrouble.
        """
        try:
            found = (await self.group(client_id)).presences.get(client_id)
        except Unreadable:
            return None
        return found if found is not None and found.connected else None

    def as_group(self, state: GroupState) -> Group:
        """Return a group for a decision, with the connection objects of this server."""
        own = self._own
        return group_of(state, own.node.__contains__, own.connection, own.origin, self._now())

    async def change(self, client_id: str, decide: Decide) -> GroupState | None:
        """Commit the decision of `decide` about a group; decide again if another server has changed it.

        Returns: the group afterwards; None if `decide` returned None.

        Raises: RemoteError: what `decide` raises, or 503.
        """
        async with self._turn(fold(client_id)):
            for _ in range(TRIES):
                stored, state = await self._load(client_id)
                node = self._own.node.name
                decision = await decide(state)
                if decision is None:
                    return None
                if not decision.notices and is_same(decision.state, stored):
                    return stored
                try:
                    return await self._commit(stored, state, decision, node)
                except GroupChanged:
                    continue
        raise RemoteError(503, "the id changes all the time")

    async def _load(self, client_id: str) -> tuple[GroupState, GroupState]:
        if not self._own.is_known():
            # The store may be incomplete, and clients of this server would count as away.
            raise StoreTrouble("the other servers do not know of this one yet")
        stored = await self._store.load(client_id)
        others = [node for node in nodes_of(stored) if node not in self._own.node]
        since = {node: await self._store.left_at(node) for node in others}
        left = {node: at for node, at in since.items() if at is not None}
        return stored, current(stored, self._now(), left, self._limits.classic_lease)

    async def _commit(
        self, stored: GroupState, before: GroupState, decision: GroupDecision, node: str
    ) -> GroupState:
        after, now = decision.state, self._now()
        version = next_version(stored, now)
        news = [
            PresenceNotice(one, version, after.presences.get(one))
            for one in dict.fromkeys((*before.presences, *after.presences))
            if differ(before.presences.get(one), after.presences.get(one))
        ]
        others = [node for node in after.watching if node not in self._own.node]
        told: list[tuple[str, Notice]] = [(node, one) for node in others for one in news]
        # A server may be alive although its clients count as away; the notice makes it settle.
        for client_id, there in stored.presences.items():
            its, left = there.registration.client.node, after.presences.get(client_id)
            if there.registration.connected and left is not there and its not in self._own.node:
                told.append((its, PresenceNotice(client_id, version, left)))
        notices = (*decision.notices, *told)
        most = self._limits.names if decision.adds else None
        committed = await self._store.commit(stored, after, now, notices, node, most)
        for one in news:
            self._changed(one)
        return committed

    @asynccontextmanager
    async def _turn(self, group: str) -> AsyncIterator[None]:
        """Wait until no other request of this server is changing the group. Raises RemoteError 503."""
        if self._asked >= self._limits.log_waiting:
            raise RemoteError(503, "too many requests are under way")
        lock = self._locks.setdefault(group, DeferredLock())
        self._asked += 1
        try:
            await lock.acquire()
            try:
                yield
            finally:
                lock.release()
        finally:
            self._asked -= 1
            if not lock.locked and not lock.waiting:
                self._locks.pop(group, None)


@value_class
class DirectoryContext:
    """Values that every part of a shared directory uses.

    Args: clock: the reactor, for timers and monotonic seconds. now: the time, in seconds since 1970.
    push: sends effects to clients of this server.
    """

    clock: Any
    store: SharedDirectoryStore
    own: OwnClients
    groups: SharedGroups
    limits: ServerLimits
    now: Callable[[], float]
    push: Callable[[list[Effect]], None]

    def tell(self, client: ClientConnection, message: Bcp2Message) -> None:
        """Send a message to a client of this server."""
        self.push([PushTo(client, message)])


def is_same(after: GroupState, before: GroupState) -> bool:
    """Return True if nothing has changed. Leases are compared by identity, as connections may differ."""
    leases = zip(after.classic.values(), before.classic.values(), strict=False)
    return after == before and all(one is former for one, former in leases)


def differ(before: SharedPresence | None, after: SharedPresence | None) -> bool:
    """Return True if watchers must be notified of a change."""
    if before is None or after is None:
        return before is not after
    return _seen(before) != _seen(after)


def _seen(one: SharedPresence) -> tuple[object, ...]:
    found = one.registration
    return found.key, found.connected, found.away, found.listed, found.allow, found.client.node
