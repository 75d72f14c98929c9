"""What lies beneath TLS on a link: TCP that sends at once what it can, and reads much at once."""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor

READ = 256 * 1024
"""Bytes that are read at once: each turn of the reactor costs, however little comes of it."""


class Beneath:
    """Sends for TLS on `connection`.

    Twisted's own `write` waits for the reactor to say that the socket takes something, also when it
    does. And as soon as something has to wait, who writes is told to: what is said next waits behind
    that and nothing else.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: tcp.Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send `data`, of which nobody but the reactor knows what could not be sent."""
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


def start_tls(connection: Any, handshake: Any, normal: bool) -> None:
    """Begin TLS on `connection` as Twisted's `startTLS` does; if it is one of TCP, with this beneath."""
    connection.startTLS(handshake, normal)
    if isinstance(connection, tcp.Connection):
        connection.bufferSize = READ
        layer: Any = connection.protocol
        layer.transport.write = Beneath(connection).write
