"""Bring the stored registrations of this server's clients into line with its connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatproto.directory.registrations import ClientConnection
from chatproto.directory.shared import GroupState, Notice, ToClient
from chatproto.directory.shared_changes import settled
from chatproto.server.shared_directory.groups import DirectoryContext, GroupDecision
from chatproto.wire import strict
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import fold

AT_ONCE = 32
"""Groups that are settled at the same time."""
AGAIN = 1.0
"""Seconds before a retry while Redis is unavailable."""


class Settler:
    """Settles groups after the end of a connection, or after Redis has lost data.

    `lost` is called with each id that belongs to another client now.
    """

    log = Logger()

    def __init__(self, context: DirectoryContext, lost: Callable[[str], None]) -> None:
        self._context = context
        self._lost = lost
        self._pending: dict[str, str] = {}  # an id of each group
        self._under_way: set[str] = set()
        self._timer: Any = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._pending) + len(self._under_way)

    def ask(self, client_id: str) -> None:
        """Settle the group of `client_id` soon: it may differ from the connections of this server."""
        if not self._stopped:
            self._pending[fold(client_id)] = client_id
            if self._timer is None:
                self._go_on()

    def stop(self) -> None:
        """Settle no more groups: this server ends, and its clients count as away."""
        self._stopped = True
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        for group in [one for one in self._pending if one not in self._under_way]:
            if len(self._under_way) >= AT_ONCE:
                return
            client_id = self._pending.pop(group)
            self._under_way.add(group)
            Deferred.fromCoroutine(self._try(group, client_id))

    async def _try(self, group: str, client_id: str) -> None:
        wait = 0.0
        try:
            await self._settle(client_id)
        except RemoteError:
            if not self._stopped:
                self._pending.setdefault(group, client_id)
                wait = AGAIN
        except Exception:  # a failure of one group must not stop the others
            self.log.failure("{id} could not be settled", id=client_id)
        self._under_way.discard(group)
        if self._pending and self._timer is None and not self._stopped:
            self._timer = self._context.clock.callLater(wait, self._go_on)

    async def _settle(self, client_id: str) -> None:
        context, own, lost = self._context, self._context.own, list[str]()

        async def decide(state: GroupState) -> GroupDecision:
            presences = own.presences.alike(client_id)
            leases = own.leases.alike(client_id)
            node, is_own = own.node.name, own.node.__contains__
            now, limits = context.now(), context.limits
            found = settled(state, presences, leases, node, is_own, now, limits)
            lost[:] = found.lost
            notices = [ending(one.client, Error(403)) for one in found.dismissed]
            return GroupDecision(found.state, notices)

        after = await context.groups.change(client_id, decide)
        for one in lost:
            self._lost(one)
        if after is None:
            return
        for one, there in after.classic.items():
            mine = own.leases.get(one)
            if mine is None:
                continue
            if there.node not in own.node:
                own.leases.pop(one)
            elif there.number == mine.number:
                mine.heard = there.heard


def ending(client: ClientConnection, message: Bcp2Message) -> tuple[str, Notice]:
    """Return the notice that ends a connection to another server, and the name of that server."""
    text = strict.encode(message).decode()
    return client.node, ToClient(client.number, text, ends=True)
