"""A TCP transport that does at once what can be done at once.

Twisted's own waits for the reactor to say that a socket may be written to, also when it may: three
more system calls for an answer, and as many again for the end of a connection that was half-closed.
For a connection that lives for one request that is much of what it costs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
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
    _waits_to_write = False  # the reactor is asked to say when the socket takes more

    def startWriting(self) -> None:
        """TLS has bytes for the socket: they go at once if they can. (Without any it wants to close.)"""
        if (
            self.TLS
            and (self._tempDataBuffer or self.dataBuffer)
            and not self._waits_to_write
            and not self.producerPaused  # sending all would resume it in the middle of a write
            and not self.disconnecting
            and self.connected
        ):
            self._waits_to_write = True
            failed = self.doWrite()
            if not (failed or self.dataBuffer or self._tempDataBuffer):
                self._waits_to_write = False
                return
        self._waits_to_write = True
        super().startWriting()

    def stopWriting(self) -> None:
        self._waits_to_write = False
        super().stopWriting()

    def write(self, data: bytes) -> None:
        if not (
            self.TLS
            or self.dataBuffer
            or self._tempDataBuffer
            or self.disconnecting
            or self._writeDisconnecting
            or not self.connected
        ):
            try:
                data = data[self.socket.send(data) :]
            except OSError:
                pass  # full, or broken: the reactor will find out which
            if not data:
                return
        super().write(data)

    def readConnectionLost(self, reason: Failure) -> None:
        if self.TLS:
            super().readConnectionLost(reason)
            return
        self._read_ended = True
        try:
            self.protocol.readConnectionLost()  # type: ignore[attr-defined]
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
