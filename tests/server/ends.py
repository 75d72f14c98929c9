"""A connection to the server in memory, with its other end in the test's hands."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport

from chatproto.server.connection import ChatConnection
from chatproto.server.factory import ChatFactory


class End(StringTransport):
    """Other end of a connection; `full`: the transport is full and pauses its producer."""

    def __init__(self, host: str = "127.0.0.1", port: int = 40000, ours: str = "127.0.0.1") -> None:
        super().__init__(IPv4Address("TCP", ours, 5555), IPv4Address("TCP", host, port))
        self.full = False
        self.half_closed = False
        self.aborted = False
        self.writes = 0
        self.seen = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)
        if self.full and self.producer is not None:
            self.producer.pauseProducing()

    def drain(self) -> None:
        """The other side has read all; twice the same is for `full` to decide."""
        assert self.producer is not None
        self.producer.resumeProducing()

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def new(self) -> bytes:
        """Return the bytes written since the last call."""
        data: bytes = self.value()[self.seen :]
        self.seen += len(data)
        return data


def connect(factory: ChatFactory, end: End) -> ChatConnection:
    """A new connection from where `end` says it is; None is never returned for those refused."""
    protocol = factory.buildProtocol(end.getPeer())
    assert protocol is not None
    protocol.makeConnection(end)
    return protocol  # type: ignore[return-value]


def lose(connection: ChatConnection) -> None:
    """The connection has ended."""
    connection.connectionLost(connectionDone)
