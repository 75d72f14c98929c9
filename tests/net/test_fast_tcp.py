"""Accepted TCP connections on real sockets of loopback, direct and as Twisted makes them."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from chatproto.net import fast_tcp
from chatproto.net.fast_tcp import accept_directly


@implementer(IHalfCloseableProtocol)
class Ours(Protocol):
    """Keeps what comes; does what the test says when the other side ends."""

    def __init__(self, ended: str, times: int) -> None:
        self.ended = ended
        self.times = times
        self.lost: Deferred[object] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        for one in (data * self.times, b"|", data * self.times):
            self.transport.write(one)  # type: ignore[union-attr]

    def readConnectionLost(self) -> None:
        if self.ended == "raise":
            raise RuntimeError("a mistake of ours")
        self.transport.write(self.ended.encode() * 1_000_000)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None:
        """Ignore it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport.write(b"to nobody")  # type: ignore[union-attr]
        kind: Any = reason.type
        self.lost.callback(kind)


class ServerTransportTests(TestCase):
    timeout = 120

    def listen(self, ended: str = "", times: int = 1) -> Ours:
        ours = Ours(ended, times)
        factory: Any = Factory.forProtocol(lambda: ours)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        accept_directly(port)
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        return ours

    def talk(self, data: bytes) -> bytes:
        """Send `data` and then the end of input; return the answer up to the close."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as client:
            client.sendall(data)
            answer = client.recv(1)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                answer += more
        return answer

    async def test_answers_in_order_and_closes(self) -> None:
        ours = self.listen()
        self.assertEqual(await deferToThread(self.talk, b"hello"), b"hello|hello")
        self.assertIs(await ours.lost, ConnectionDone)

    async def test_sends_large_output_before_it_closes(self) -> None:
        ours = self.listen("x" * 20)
        answer = await deferToThread(self.talk, b"hello")
        self.assertEqual((answer[:11], len(answer)), (b"hello|hello", 20_000_011))
        self.assertIs(await ours.lost, ConnectionDone)

    async def test_keeps_the_order_while_the_socket_is_full(self) -> None:
        self.listen("z", 10_000_000)
        answer = await deferToThread(self.talk, b"y")
        half = b"y" * 10_000_000
        self.assertTrue(answer == half + b"|" + half + b"z" * 1_000_000)

    async def test_is_closed_after_an_exception(self) -> None:
        ours = self.listen("raise")
        await deferToThread(self.talk, b"hello")
        self.assertIs(await ours.lost, RuntimeError)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_protocol_without_half_close_is_closed_cleanly(self) -> None:
        lost: Deferred[object] = Deferred()

        class Whole(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"ok")  # type: ignore[union-attr]

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                lost.callback(reason.type)

        factory: Any = Factory.forProtocol(Whole)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        accept_directly(port)
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        await deferToThread(self.talk, b"hello")
        self.assertIs(await lost, ConnectionDone)

    async def test_can_be_closed_twice(self) -> None:
        ours = self.listen()
        await deferToThread(self.talk, b"hello")
        await ours.lost
        self.assertIsNone(ours.transport.loseConnection())  # type: ignore[union-attr]


class PlainTransportTests(ServerTransportTests):
    """The same with Twisted's own."""

    def setUp(self) -> None:
        self.patch(fast_tcp, "WHY_PLAIN", "a test wants it")
