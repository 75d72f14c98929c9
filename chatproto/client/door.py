"""A client's own port: whoever connects there may be a caller."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from chatproto.session.plain import LinkOwner, PlainLink
from chatproto.wire.limits import ClientLimits


class Door(Factory):
    """Makes a link of each connection; what comes first on it tells its dialect."""

    noisy = False

    def __init__(self, owner: LinkOwner, clock: IReactorTime, limits: ClientLimits) -> None:
        self._owner = owner
        self._clock = clock
        self._limits = limits

    def buildProtocol(self, addr: IAddress | None) -> PlainLink:
        return PlainLink(self._owner, self._clock, self._limits, None)
