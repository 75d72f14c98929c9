"""A client's own port: whoever connects there may be a caller."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from chatproto.session.plain_connection import PlainPeerConnection, PlainPeerOwner
from chatproto.wire.limits import ClientLimits


class Door(Factory):
    """Makes a link of each connection; what comes first on it tells its dialect."""

    noisy = False

    def __init__(self, owner: PlainPeerOwner, clock: IReactorTime, limits: ClientLimits) -> None:
        self._owner = owner
        self._clock = clock
        self._limits = limits

    def buildProtocol(self, addr: IAddress | None) -> PlainPeerConnection:
        return PlainPeerConnection(self._owner, self._clock, self._limits, None)
