"""TLS that writes at once, on real sockets of loopback: every byte arrives in order."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.net import fast_tcp, fast_tls
from chatproto.net.fast_tcp import accept_directly
from chatproto.net.fast_tls import RECORD, write_at_once
from tests.e2e.tls_wires import context

SERVER = new_identity()


@implementer(IHandshakeListener)
class Ours(Protocol):
    """Writes `parts` when the handshake is done, and closes."""

    transport: Any

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.waited: list[bool] = []
        self.written = threading.Event()
        self.lost: Deferred[object] = Deferred()

    def connectionMade(self) -> None:
        tcp = self.transport
        tcp.startTLS(Tls(SERVER).handshake(lambda key: None), True)
        self.tcp, self.layer = tcp, tcp.protocol

    def handshakeCompleted(self) -> None:
        write = self.write = write_at_once(self.layer, self.tcp)
        for part in self.parts:
            write(part)
            self.waited.append(bool(self.tcp._tempDataBuffer or self.tcp.dataBuffer))
        self.layer.loseConnection()
        write(b"after the end")
        self.written.set()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class WriteAtOnceTests(TestCase):
    timeout = 30

    def listen(self, parts: list[bytes]) -> Ours:
        ours = Ours(parts)
        factory: Any = Factory.forProtocol(lambda: ours)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        accept_directly(port)
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        return ours

    def read(self, ours: Ours) -> bytes:
        """All that comes, read when it has all been written."""
        folder = Path(self.mktemp())
        folder.mkdir()
        with (
            socket.create_connection(("127.0.0.1", self.port), 20) as plain,
            context(folder, False, new_identity()).wrap_socket(plain) as wire,
        ):
            self.assertTrue(ours.written.wait(20))
            got = []
            while more := wire.recv(65536):
                got.append(more)
            return b"".join(got)

    async def test_all_arrives_in_order_and_nothing_after_the_end(self) -> None:
        parts = [b"one ", b"two ", b"", b"x" * RECORD, b"y" * (RECORD + 1), b"z" * 100_000, b" end"]
        ours = self.listen(parts)
        got = await deferToThread(self.read, ours)
        self.assertEqual(len(got), sum(map(len, parts)))
        self.assertTrue(got == b"".join(parts))
        await ours.lost

    async def test_data_that_the_socket_does_not_take_waits_its_turn(self) -> None:
        parts = [b"%d " % number + b"x" * 8000 for number in range(2000)]
        ours = self.listen(parts)
        got = await deferToThread(self.read, ours)
        self.assertTrue(got == b"".join(parts))
        self.assertEqual((ours.waited[0], ours.waited[-1]), (False, True))
        await ours.lost

    async def test_data_written_after_the_end_is_dropped(self) -> None:
        ours = self.listen([b"one"])
        await deferToThread(self.read, ours)
        await ours.lost
        ours.write(b"two")


class PlainWriteTests(WriteAtOnceTests):
    """The same with the plain library."""

    def setUp(self) -> None:
        for module in (fast_tcp, fast_tls):
            self.patch(module, "WHY_PLAIN", "a test wants it")
