"""A network in memory: connections that are asked for, and their far ends in the test's hands."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer


class Wire(StringTransport):
    """One connection as a protocol sees it; what it wrote is kept write by write.

    `full`: every write leaves it with all that it may hold, until `drain`.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 40000) -> None:
        super().__init__(IPv4Address("TCP", "127.0.0.1", 5555), IPv4Address("TCP", host, port))
        self.protocol: Any = None
        self.writes: list[bytes] = []
        self.seen = 0
        self.full = self.half_closed = self.aborted = self.ended = False
        self.tls: Any = None
        self.nodelay: Any = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)
        producer: Any = self.producer
        if self.full and producer is not None:
            producer.pauseProducing()

    def setTcpNoDelay(self, enabled: Any) -> None:
        self.nodelay = enabled

    def setTcpKeepAlive(self, enabled: Any) -> None:
        """Ignore it: there is no keepalive in memory."""

    def startTLS(self, context: Any, normal: bool = True) -> None:
        self.tls = context

    def unregisterProducer(self) -> None:
        """As a TCP transport, which does not mind that there is none."""
        self.producer = None

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def drain(self) -> None:
        """The far end has read everything."""
        self.full = False
        producer: Any = self.producer
        if producer is not None:
            producer.resumeProducing()

    def new(self) -> bytes:
        """Return the bytes written since the last call."""
        data: bytes = self.value()[self.seen :]
        self.seen += len(data)
        return data

    # The far end.

    def says(self, data: bytes) -> None:
        """The far end sent these bytes, in one piece."""
        self.protocol.dataReceived(data)

    def ends(self, reset: bool = False) -> None:
        """The connection is gone."""
        if not self.ended:
            self.ended = True
            error = ConnectionLost() if reset else ConnectionDone()
            self.protocol.connectionLost(Failure(error))

    @property
    def closing(self) -> bool:
        """True once our side has closed or aborted the connection."""
        return self.disconnecting or self.aborted


def joined(protocol: Any, wire: Wire | None = None) -> Wire:
    """`protocol` with a connection."""
    wire = wire or Wire()
    wire.protocol = protocol
    protocol.makeConnection(wire)
    return wire


@implementer(IReactorTime)
class Net(MemoryReactorClock):
    """A reactor with its own time, whose outgoing connections the test accepts or refuses in order."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = 0
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1

    @property
    def wanted(self) -> list[tuple[str, int]]:
        """Addresses of all connections asked for."""
        return [(client[0], client[1]) for client in self.tcpClients]

    @property
    def dialled(self) -> int:
        """Number of connections neither accepted nor refused yet."""
        return len(self.tcpClients) - self.answered

    def accept(self) -> Wire:
        """The next connection that was asked for comes about."""
        host, port, factory, _, _ = self.tcpClients[self.answered]
        self.answered += 1
        wrapped = factory.buildProtocol(IPv4Address("TCP", host, port))
        return joined(wrapped, Wire(host, port))

    def refuse(self, error: Exception | None = None) -> None:
        """The next one does not; an endpoint that goes by a name notices it 0.3 s later."""
        factory = self.tcpClients[self.answered][2]
        connector = self.connectors[self.answered]
        self.answered += 1
        factory.clientConnectionFailed(connector, Failure(error or ConnectionRefusedError()))
        self.advance(0.3)

    def wait(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass in small steps, so that what rings sets its next call in time."""
        end = self.seconds() + seconds
        while self.seconds() < end - 1e-9:
            self.advance(min(step, end - self.seconds()))
