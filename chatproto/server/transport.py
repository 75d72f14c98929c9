"""A TCP transport that does at once what can be done at once.

Twisted's own waits for the reactor to say that a socket may be written to, also when it may: three
more system calls for an answer, and as many again for the end of a connection that was half-closed.
For a connection that lives for one request that is much of what it costs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

DONE = Failure(CONNECTION_DONE)


class PromptServer(tcp.Server):
    """A server's side of a connection: `listeningPort.transport = PromptServer`.

    Its protocol must be an IHalfCloseableProtocol. Whatever is not the plain case (TLS, something
    waits already, the socket is full or broken) is left to Twisted, which does as it always does.
    """

    log = Logger()
    _shouldShutdown = False  # no other process has the socket: closing it is enough
    _read_ended = False
    _is_free = True  # nothing waits to be written, and the connection stands

    def startWriting(self) -> None:
        self._is_free = False
        super().startWriting()

    def stopWriting(self) -> None:
        self._is_free = bool(self.connected)
        super().stopWriting()

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        super().startTLS(ctx, normal)
        layer: Any = self.protocol
        if isinstance(layer, TLSMemoryBIOProtocol):
            beneath: Any = layer.transport
            beneath.write = self.write
            self.write = super().write  # type: ignore[method-assign]

    def write(self, data: bytes) -> None:
        """Send `data` as it is, what TLS has encrypted too."""
        if self._is_free:
            try:
                sent = self.socket.send(data)
            except OSError:
                pass  # full, or broken: the reactor will find out which
            else:
                if sent == len(data):
                    return
                data = data[sent:]
        FileDescriptor.write(self, data)

    def readConnectionLost(self, reason: Failure) -> None:
        if self.TLS or not IHalfCloseableProtocol.providedBy(self.protocol):
            super().readConnectionLost(reason)
            return
        self._read_ended = True
        try:
            self.protocol.readConnectionLost()
        except Exception:
            failure = Failure()
            self.log.failure("a connection could not be ended", failure)
            self.connectionLost(failure)

    def loseConnection(self, *args: Any) -> None:
        """As Twisted's, and at once if nothing is left to be sent and the other side has ended."""
        if (
            not self._read_ended
            or self.TLS
            or not self.connected
            or self.producer is not None
            or self.dataBuffer
            or self._tempDataBuffer
        ):
            super().loseConnection(*args)
            return
        self.connected = 0
        self.disconnected = 1
        self.stopReading()
        self.stopWriting()
        self.socket.close()
        protocol = self.protocol
        del self.protocol, self.socket, self.fileno
        protocol.connectionLost(DONE)
