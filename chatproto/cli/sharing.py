"""Put together one server of several: `--store redis://…`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from chatproto.directory.keyed import NewTickets
from chatproto.server.replica import Replica
from chatproto.server.room_side import RoomSide
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import come_back_times
from chatproto.server.shared_side import SharedSide, rules_of
from chatproto.stores.redis.log import RedisLog
from chatproto.stores.redis.url import RedisUrl
from chatproto.stores.shared import SharedMemory
from chatproto.stores.timed import Spend, TimedLog
from chatproto.wire.limits import ServerLimits


class Sharing(MultiService):
    """The log, and what it says. `ready` fires, with whether it is there, when it is known at first.

    `unfit` is told in a sentence why this server cannot be one of them, and `spend` how long it took to
    write to the log.
    """

    def __init__(
        self,
        reactor: Any,
        place: RedisUrl,
        key: str,
        limits: ServerLimits,
        shared: SharedMemory,
        secure: SecureSide,
        rooms: RoomSide,
        new_tickets: NewTickets,
        say: Callable[[str], None] | None,
        unfit: Callable[[str], None],
        spend: Spend | None = None,
    ) -> None:
        super().__init__()
        self.ready: Deferred[bool] = Deferred()
        self.on_entered: list[Callable[[], None]] = []
        self.place = place
        self._log = log = RedisLog(reactor, place, key, unfit, lambda: self._known(False))
        self.replica = Replica(
            shared, secure, rooms, limits, lambda: secrets.token_hex(8), new_tickets, say
        )
        self.side = log.listener = SharedSide(
            reactor,
            log if spend is None else TimedLog(log, spend),
            self.replica,
            rules_of(limits),
            lambda: secrets.token_hex(8),
            limits,
            unfit,
            lambda count: secrets.choice(come_back_times(count)),
        )
        self.side.entered = self._entered
        self.side.refuses = lambda: self._known(False)
        log.setServiceParent(self)

    @property
    def trouble(self) -> str:
        """The sentence why nothing can be stored just now; empty if it can be."""
        if not self.side.away:
            return ""
        why = self._log.why or self.side.refused
        return f"cannot reach {self.place}: {why}" if why else f"cannot reach {self.place}"

    def startService(self) -> None:
        super().startService()
        self.side.start()

    def stopService(self) -> Deferred[Any]:
        return self.side.stop().addCallback(lambda _: super(Sharing, self).stopService())

    def _entered(self) -> None:
        self._known(True)
        for tell in self.on_entered:
            tell()

    def _known(self, there: bool) -> None:
        if not self.ready.called:
            self.ready.callback(there)
