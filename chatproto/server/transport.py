"""A TCP transport that does at once what can be done at once.

Twisted's own waits for the reactor to say that a socket may be written to, also when it may: three
more system calls for an answer, and as many again for the end of a connection that was half-closed.
For a connection that lives for one request that is a third of what it costs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure


class PromptServer(tcp.Server):
    """A server's side of a connection: `listeningPort.transport = PromptServer`.

    Whatever is not the plain case (TLS, something waits already, the socket is full or broken) is
    left to Twisted, which then does as it always does.
    """

    _shouldShutdown = False  # no other process has the socket: closing it is enough

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

    def loseConnection(self, *args: Any) -> None:
        """As Twisted's, and at once if nothing is left to be sent and the other side has ended."""
        if (
            self._read_ended
            and not self.TLS
            and self.connected
            and not self.dataBuffer
            and not self._tempDataBuffer
        ):
            self.connectionLost(DONE)
        else:
            super().loseConnection(*args)

    _read_ended = False

    def readConnectionLost(self, reason: Failure) -> None:
        self._read_ended = True
        super().readConnectionLost(reason)


DONE = Failure(CONNECTION_DONE)
