"""Bring what the store has of this server's clients into line with its connections, sooner or later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.directory.registrations import Registration
from chatproto.directory.shared import GroupState, Notice
from chatproto.directory.shared_changes import settled
from chatproto.server.shared_directory.groups import GroupDecision, SharedGroups
from chatproto.server.shared_directory.own import OwnClients
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits

AT_ONCE = 32
"""Groups that are settled at the same time."""
AGAIN = 1.0
"""Seconds after which it is tried again while Redis is away."""


class Settler:
    """Settles groups that were asked for: after the end of a connection, or after Redis has lost something.

    Args: lost: hears which id belongs to somebody else now. notice_for: makes the notice that ends the
    connection of somebody else, and names its node.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        groups: SharedGroups,
        own: OwnClients,
        limits: ServerLimits,
        now: Callable[[], float],
        lost: Callable[[str], None],
        notice_for: Callable[[Registration], tuple[str, Notice]],
    ) -> None:
        self._clock = clock
        self._groups = groups
        self._own = own
        self._limits = limits
        self._now = now
        self._lost = lost
        self._notice_for = notice_for
        self._pending: dict[str, str] = {}  # an id of each group
        self._under_way: set[str] = set()
        self._timer: Any = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._pending) + len(self._under_way)

    def ask(self, client_id: str) -> None:
        """Settle the group of `client_id`, if it may be different from what is connected here."""
        if not self._stopped:
            self._pending[fold(client_id)] = client_id
            if self._timer is None:
                self._go_on()

    def stop(self) -> None:
        """Settle nothing more: this server ends, and the others know then that its clients are away."""
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
            settling = Deferred.fromCoroutine(self._settle(client_id))
            settling.addCallback(self._settled, group)
            settling.addErrback(self._failed, group, client_id)

    def _settled(self, _: None, group: str) -> None:
        self._under_way.discard(group)
        if self._pending and self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(0, self._go_on)

    def _failed(self, failure: Failure, group: str, client_id: str) -> None:
        self._under_way.discard(group)
        if failure.check(RemoteError) is None:
            self.log.failure("{id} could not be settled", failure, id=client_id)
            return
        if self._stopped:
            return
        self._pending.setdefault(group, client_id)
        if self._timer is None or not self._timer.active():
            self._timer = self._clock.callLater(AGAIN, self._go_on)

    async def _settle(self, client_id: str) -> None:
        own, lost = self._own, list[str]()

        async def decide(state: GroupState) -> GroupDecision:
            presences = own.presences.alike(client_id)
            leases = own.leases.alike(client_id)
            node, is_own = own.node.name, own.node.__contains__
            found = settled(state, presences, leases, node, is_own, self._now(), self._limits)
            lost[:] = found.lost
            return GroupDecision(found.state, tuple(map(self._notice_for, found.dismissed)))

        after = await self._groups.change(client_id, decide)
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
                mine.noted = there.heard
