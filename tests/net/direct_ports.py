"""Ports of `accept_directly` whose tests say when they accept, and protocols that note what happens."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from chatproto.net import fast_tcp
from chatproto.net.fast_tcp import accept_directly

running: Any = reactor


@implementer(IHalfCloseableProtocol)
class Noted(Protocol):
    """Notes what happens to a connection, and closes it when the other side has ended."""

    transport: Any  # there is one while it is connected

    def __init__(self, paused: bool = False, mistake: bool = False) -> None:
        self.paused, self.mistake = paused, mistake
        self.events: list[Any] = []
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        if self.paused:
            self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        if self.mistake:
            raise RuntimeError("a mistake of ours")
        if self.events and isinstance(self.events[-1], bytes):
            data = self.events.pop() + data
        self.events.append(data)

    def readConnectionLost(self) -> None:
        self.events.append("end")
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Ignore it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append(reason.type)
        self.lost.callback(None)


class PortCase(TestCase):
    """Test of a port. `made`: the protocols that its factory has made."""

    timeout = 60
    made: list[Any]

    def listen_with(self, factory: Any) -> Any:
        """Return a port of `factory` that accepts when its `doRead` is called."""
        port = running.listenTCP(0, factory, interface="127.0.0.1")
        accept_directly(port)
        self.addCleanup(port.stopListening)
        self.addCleanup(self.end)
        running.removeReader(port)
        return port

    async def end(self) -> None:
        for one in self.made:
            if one.transport is not None and not one.lost.called:
                one.transport.abortConnection()
                await one.lost

    def connect(self, port: Any, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port.getHost().port), 10)
        self.addCleanup(client.close)
        client.sendall(data)
        return client

    async def turn(self) -> None:
        await deferLater(running, fast_tcp.MOMENT, lambda: None)
        for _ in range(3):
            await deferLater(running, 0, lambda: None)


def read_all(client: socket.socket) -> bytes:
    """Return what comes until the end of input or the connection's."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


class Waiting:
    """A listening socket with one connection that waits."""

    def __init__(self, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        self.family, self.type, self.proto = accepted.family, accepted.type, accepted.proto
        self.waiting = [(accepted.detach(), address)]

    def _accept(self) -> tuple[int, tuple[Any, ...]]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop()
