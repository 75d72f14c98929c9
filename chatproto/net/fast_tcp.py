"""TCP that sends at once what the socket takes, and the private names of Twisted's TCP.

Twisted's `write` waits for the reactor to report that the socket is writable, even when it is:
three more system calls for each answer, and as many again when the peer has half-closed.

No other file of this program knows a private name of Twisted's TCP. `WHY_PLAIN` is empty if the
installed Twisted has all names that stand here, and is of a known version; otherwise, and if the
environment variable `CHATPROTO_PLAIN_IO` is set, connections are Twisted's own.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

import twisted

PLAIN_IO = "CHATPROTO_PLAIN_IO"
"""Environment variable: if it is set and not empty, Twisted's own code reads and writes."""
KNOWN_TWISTED = 26
"""Major version of Twisted whose private names are used here and in `fast_tls`."""
READ_SIZE = 256 * 1024
"""Bytes that are read from a socket at once: each turn of the reactor costs, however little it reads."""

DONE = Failure(CONNECTION_DONE)
log = Logger()


def unknown(package: str, version: str, known: int) -> str:
    """Return why `package` cannot be relied on: its major `version` is not `known`; "" if it is."""
    return "" if version.partition(".")[0] == str(known) else f"{package} {version} is not known"


def missing(holder: object, *names: str) -> str:
    """Return the first of `names` that `holder` does not have, as a sentence; "" if it has all."""
    return next((f"{name} is not there" for name in names if not hasattr(holder, name)), "")


def _why_plain() -> str:
    if os.environ.get(PLAIN_IO):
        return f"{PLAIN_IO} is set"
    return (
        unknown("Twisted", twisted.__version__, KNOWN_TWISTED)
        or missing(FileDescriptor(object()), "_tempDataBuffer", "dataBuffer", "disconnecting")  # type: ignore[arg-type]
        or missing(tcp.Server, "_shouldShutdown", "_closeWriteConnection")
    )


WHY_PLAIN = _why_plain()
"""Reason why connections are Twisted's own; empty: they are the faster ones of this file."""


def server_transport() -> type[tcp.Server]:
    """Return the class for `listeningPort.transport`: the connections that the port accepts."""
    return tcp.Server if WHY_PLAIN else DirectServer


def start_tls(connection: Any, handshake: Any, normal: bool) -> None:
    """Begin TLS on `connection` as its own `startTLS` does, and send directly beneath it.

    Args: handshake: creates the OpenSSL connection. normal: True if the end that dialled is the TLS
    client. A connection that is not Twisted's TCP, or accepted by a `DirectServer`, stays as it is.
    """
    connection.startTLS(handshake, normal)
    if WHY_PLAIN or not isinstance(connection, tcp.Connection):
        return
    if not isinstance(connection, DirectServer):
        connection.bufferSize = READ_SIZE
        layer: Any = connection.protocol
        layer.transport.write = DirectWriter(connection).write


class DirectServer(tcp.Server):
    """Accepted TCP connection that writes, and closes after a half-close, without the reactor.

    Its protocol must be an IHalfCloseableProtocol. Other cases (TLS, data that already waits, a full
    or broken socket) are left to Twisted.
    """

    log = log
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
        """Send `data` unchanged; under TLS, `data` is already encrypted."""
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
        """Close when all is sent: at once if nothing waits and the peer has half-closed."""
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


class DirectWriter:
    """Send for the TLS layer on `connection`, and pause its producer as soon as data must wait.

    Twisted pauses a producer only when 64 KiB wait, all of which would stand before the next message.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: tcp.Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send encrypted `data`; the reactor sends later what the socket does not take now."""
        connection = self._connection
        if not (
            connection.dataBuffer
            or connection._tempDataBuffer
            or connection.disconnecting
            or not connection.connected
        ):
            try:
                sent = connection.socket.send(data)
            except OSError:
                sent = 0  # full, or broken: the reactor will find out which
            if sent == len(data):
                return
            data = data[sent:]
        FileDescriptor.write(connection, data)
        producer: Any = connection.producer
        if producer is not None and connection.connected and not connection.producerPaused:
            connection.producerPaused = True
            producer.pauseProducing()


class AnyHostnameEndpoint(HostnameEndpoint):
    """HostnameEndpoint that also takes names that are not IDNA, such as `my_host`.

    Twisted refuses these without asking the resolver; here the resolver decides. Without the method
    that is replaced, it is Twisted's own.
    """

    @staticmethod
    def _hostAsBytesAndText(host: bytes | str) -> tuple[bool, bytes, str]:
        if isinstance(host, str) and host.isascii():
            return False, host.encode("ascii"), host
        found: tuple[bool, bytes, str] = HostnameEndpoint._hostAsBytesAndText(host)
        return found


if WHY_PLAIN:
    log.warn("connections use Twisted's own TCP and TLS: {why}", why=WHY_PLAIN)
