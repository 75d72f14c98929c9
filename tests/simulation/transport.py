"""One end of a simulated connection, as Twisted's protocols know a TCP transport."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.simulation.channel import Channel, SimHandshake
from tests.simulation.reactor import SimReactor

NOT_YET = 0.01
"""Seconds within which whoever dialled hears that there is a connection."""
HIGH_WATER = 2048
"""Bytes that wait in a program before it is told to write no more; Twisted's own are 65,536."""


class Pipe(Protocol):
    """Direction of a connection, as its ends use it."""

    def dirty(self) -> None:
        """Note that there is data to carry or to read."""

    def close(self) -> None:
        """Close the direction behind what was written."""

    def reset(self) -> None:
        """Break the direction; written data may be lost."""


@implementer(ITCPTransport)
class SimTransport:
    """One end: `out` is the way to the other one, `into` the way from it.

    Whatever it does takes effect in the network's own turn, so that the order in which a program goes
    through its connections makes no difference to the network.
    """

    disconnected = False

    def __init__(
        self,
        reactor: SimReactor,
        name: str,
        own: tuple[str, int],
        peer: tuple[str, int],
        client: bool,
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.connected = True
        self.disconnecting = False
        self.protocol: Any = None
        self.connector: Any = None
        self.buffer = bytearray()
        self.paused = False
        self.out: Pipe
        self.into: Pipe
        self.producer: Any = None
        self._client = client
        self.own, self.peer = own, peer
        self._stopped = False  # the producer was told to wait
        self._write_ended = self._read_ended = self._ending = False
        self._channel: Channel | None = None

    # What protocols call.

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", *self.peer)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", *self.own)

    def setTcpNoDelay(self, enabled: Any) -> None:
        """Ignore it: it makes no difference here."""

    def setTcpKeepAlive(self, enabled: Any) -> None:
        """Ignore it: it makes no difference here."""

    def getTcpNoDelay(self) -> bool:
        return True

    def getTcpKeepAlive(self) -> bool:
        return True

    def startTLS(self, handshake: SimHandshake, normal: bool = True) -> None:
        assert self._channel is None
        self._channel = Channel(self, self.protocol, handshake, self._client is normal)
        self.protocol = self._channel
        self._channel.begin()

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if not self.connected or self.disconnecting or self._write_ended:
            return
        if self._channel is not None:
            self._channel.write(data)
        else:
            self.tapped(None, data)
            self.send(data)

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming, "only push producers are simulated"
        assert self.producer is None, f"{self.name} has a producer already"
        if not self.connected:
            producer.stopProducing()
            return
        self.producer = producer
        self._stopped = False
        self._press()

    def unregisterProducer(self) -> None:
        self.producer = None
        if self.disconnecting and self.connected:
            self.out.dirty()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if self.paused and self.connected:
            self.paused = False
            self.into.dirty()

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self, *reason: Any) -> None:
        if self.disconnecting or not self.connected:
            return
        if self._channel is not None and not self._channel.done and not self._channel.early:
            self.abortConnection()
            return
        self.disconnecting = True
        self.out.dirty()

    def loseWriteConnection(self) -> None:
        assert self._channel is None, "TLS knows no half-close"
        if self.connected:
            self._write_ended = True
            self.out.dirty()

    def abortConnection(self) -> None:
        if self.connected and not self._ending:
            self._ending = True
            self.buffer.clear()
            self.out.reset()
            self.reactor.callLater(0, self.lose, ConnectionAborted())

    # What the channel calls.

    def tapped(self, key: str | None, data: bytes) -> None:
        """The program writes `data` to the owner of `key`, or in plain text."""
        if self.reactor.tap is not None:
            self.reactor.tap(key, data)

    def send(self, data: bytes) -> None:
        """Send `data` as it is."""
        self.buffer += data
        self.out.dirty()
        self._press()

    def fail(self, error: Exception) -> None:
        """The handshake failed: what was sent goes out, and that is the end."""
        if not self._ending:
            self._ending = True
            self.out.close()
            self.reactor.callLater(0, self.lose, error)

    # What the network calls.

    def hear(self, data: bytes) -> None:
        """`data` have come."""
        if self.connected and not self._ending and (self._channel or not self.disconnecting):
            self.protocol.dataReceived(data)

    def hear_end(self) -> None:
        """The other end sends no more."""
        if not self.connected or self._ending:
            return
        self._read_ended = True
        half = self._channel is None and IHalfCloseableProtocol.providedBy(self.protocol)
        if half and not self._write_ended and not self.disconnecting:
            self.protocol.readConnectionLost()
            return
        self._ending = True
        self.buffer.clear()
        self.out.close()
        unfinished = self._channel is not None and not self._channel.done
        self.lose(ConnectionLost() if unfinished else ConnectionDone())

    def hear_reset(self) -> None:
        """The connection broke."""
        if self.protocol is None and self.connected and not self.reactor.dead:
            # It is there, and its program has not heard of it: that comes first.
            self.reactor.callLater(NOT_YET, self.hear_reset)
        elif self.connected and not self._ending:
            self._ending = True
            self.lose(ConnectionLost())

    def drained(self) -> None:
        """Everything that was written is on its way: write more, or end."""
        if not self.connected or self._ending:
            return
        if self.producer is not None and self._stopped:
            self._stopped = False
            self.producer.resumeProducing()
        if self.buffer or self._ending or not self.connected:
            return
        if self.disconnecting and self.producer is None:
            self.out.close()
            if self._channel is None:  # TLS waits for the other end's goodbye
                self._ending = True
                self.reactor.callLater(0, self.lose, ConnectionDone())
        elif self._write_ended:
            self.out.close()
            if self._read_ended:
                self._ending = True
                self.reactor.callLater(0, self.lose, ConnectionDone())

    def lose(self, error: Exception) -> None:
        """End the connection, and tell the protocol."""
        if not self.connected:
            return
        self.connected = False
        self.disconnected = True
        self.buffer.clear()
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        reason = Failure(error)
        self.protocol.connectionLost(reason)
        if self.connector is not None:
            self.connector.lost(reason)

    def forget(self) -> None:
        """Drop everything: the program is dead."""
        self.connected = False
        self._ending = True
        self.buffer.clear()

    def _press(self) -> None:
        if self.producer is not None and not self._stopped and len(self.buffer) > HIGH_WATER:
            self._stopped = True
            self.producer.pauseProducing()
