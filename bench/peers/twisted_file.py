"""A file over Twisted's TLS, the usual way, with large reads: PORT PEM send|receive FILE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any

from twisted.internet import reactor as global_reactor
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

READ = 256 * 1024
reactor: Any = global_reactor


class Sender(Protocol):
    """Writes the file as fast as it is taken, and ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def connectionMade(self) -> None:
        sender = FileSender()
        sender.CHUNK_SIZE = READ
        done: Any = sender.beginFileTransfer(self._file, self.transport)
        done.addBoth(self._end)

    def _end(self, _: object) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        reactor.stop()


class Receiver(Protocol):
    """Writes down what comes, until it ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.transport.bufferSize = READ

    def dataReceived(self, data: bytes) -> None:
        self._file.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        reactor.stop()


def main(port: int, pem: str, what: str, path: str) -> None:
    """Send or receive one file."""
    with Path(path).open("rb" if what == "send" else "wb", buffering=0) as file:
        if what == "send":
            client = ClientFactory()
            client.protocol = lambda: Sender(file)
            reactor.connectSSL("127.0.0.1", port, client, CertificateOptions(verify=False))
        else:
            shown = PrivateCertificate.loadPEM(Path(pem).read_bytes())
            server: Any = Factory.forProtocol(lambda: Receiver(file))
            reactor.listenSSL(port, server, shown.options(), interface="127.0.0.1")
        reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
