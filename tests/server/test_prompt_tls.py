"""TLS that writes at once, on a real socket of loopback: every byte, in order, whatever waits."""

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

from chatproto.identity.channel import RECORD
from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.server.prompt_tls import PromptTls
from chatproto.server.transport import PromptServer
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
        prompt = self.prompt = PromptTls(self.layer)
        for part in self.parts:
            prompt.write(part)
            self.waited.append(bool(self.tcp._tempDataBuffer or self.tcp.dataBuffer))
        self.layer.loseConnection()
        prompt.write(b"after the end")
        self.written.set()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class PromptTlsTests(TestCase):
    timeout = 30

    def listen(self, parts: list[bytes]) -> Ours:
        ours = Ours(parts)
        factory: Any = Factory.forProtocol(lambda: ours)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        port.transport = PromptServer
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

    async def test_all_comes_in_order_and_nothing_after_the_end(self) -> None:
        parts = [b"one ", b"two ", b"", b"x" * RECORD, b"y" * (RECORD + 1), b"z" * 100_000, b" end"]
        ours = self.listen(parts)
        got = await deferToThread(self.read, ours)
        self.assertEqual(len(got), sum(map(len, parts)))
        self.assertTrue(got == b"".join(parts))
        await ours.lost

    async def test_what_the_socket_does_not_take_waits_its_turn(self) -> None:
        parts = [b"%d " % number + b"x" * 8000 for number in range(2000)]
        ours = self.listen(parts)
        got = await deferToThread(self.read, ours)
        self.assertTrue(got == b"".join(parts))
        self.assertEqual((ours.waited[0], ours.waited[-1]), (False, True))
        await ours.lost

    async def test_what_is_said_when_it_is_over_goes_nowhere(self) -> None:
        ours = self.listen([b"one"])
        await deferToThread(self.read, ours)
        await ours.lost
        ours.prompt.write(b"two")
