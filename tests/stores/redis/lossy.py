"""A way to Redis that loses replies, or all of them, as a test wants it."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.protocols.portforward import (
    ProxyClient,
    ProxyClientFactory,
    ProxyFactory,
    ProxyServer,
)


class LossyClient(ProxyClient):
    """The half that is connected to Redis."""

    def dataReceived(self, data: bytes) -> None:
        near: Any = self.peer
        if not near.factory.mute:
            super().dataReceived(data)


class LossyClientFactory(ProxyClientFactory):
    noisy = False
    protocol = LossyClient


class LossyServer(ProxyServer):
    """The half that a server is connected to."""

    clientProtocolFactory = LossyClientFactory

    def connectionMade(self) -> None:
        lossy: Any = self.factory
        lossy.connections.append(self)
        super().connectionMade()


class Lossy(ProxyFactory):
    """Listens on a port of its own, and forwards to `port`. `mute`: nothing comes back."""

    noisy = False
    protocol = LossyServer

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self.mute = False
        self.connections: list[Any] = []
        listening: Any = reactor
        self.listening = listening.listenTCP(0, self, interface="127.0.0.1")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listening.getHost().port}/0"

    def cut(self) -> None:
        """Break all connections."""
        connections, self.connections = self.connections, []
        for one in connections:
            one.transport.abortConnection()
            if one.peer is not None:
                one.peer.transport.abortConnection()

    async def close(self) -> None:
        self.cut()
        await self.listening.stopListening()
