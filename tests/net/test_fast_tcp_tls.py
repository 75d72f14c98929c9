"""TLS over TCP that sends directly, on real sockets of loopback."""

from __future__ import annotations

import socket
from typing import Any
from unittest import skipIf

from OpenSSL import SSL
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.net import fast_tcp
from chatproto.net.fast_tcp import READ_SIZE, start_tls

reactor: Any = global_reactor
CHUNK = 64 * 1024


@implementer(IHandshakeListener, IPushProducer)
class Flood(Protocol):
    """Writes chunks while it may, `count` of them, and then the end. `most`: bytes that waited at once."""

    transport: Any

    def __init__(self, count: int) -> None:
        self.left = count
        self.may = True
        self.paused = 0
        self.most = 0
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        start_tls(self.transport, Tls(new_identity()).handshake(lambda key: None), True)

    def handshakeCompleted(self) -> None:
        self.transport.registerProducer(self, True)
        self.go()

    def go(self) -> None:
        while self.may and self.left:
            self.write()
        if not self.left and self.may:
            self.end()

    def write(self) -> None:
        self.left -= 1
        self.transport.write(bytes([self.left % 251]) * CHUNK)
        waits = sum(map(len, self.transport._tempDataBuffer)) + len(self.transport.dataBuffer)
        self.most = max(self.most, waits)

    def end(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self.may = False
        self.paused += 1

    def resumeProducing(self) -> None:
        self.may = True
        self.go()

    def stopProducing(self) -> None:
        self.may = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class HeedlessFlood(Flood):
    """Writes whether it may or not: most at once, and then a chunk in each turn of the reactor."""

    def go(self) -> None:
        while self.left > 100:
            self.write()
        self.more()

    def more(self) -> None:
        if self.left:
            self.write()
            reactor.callLater(0, self.more)
        else:
            self.end()

    def resumeProducing(self) -> None:
        pass


@implementer(IHandshakeListener)
class Drain(Protocol):
    """Reads all there is. `largest`: what came at once."""

    transport: Any

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        start_tls(self.transport, Tls(new_identity()).handshake(lambda key: None), True)

    def handshakeCompleted(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        self.got.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


@skipIf(fast_tcp.WHY_PLAIN, fast_tcp.WHY_PLAIN)
class DirectWriterTests(TestCase):
    timeout = 60

    def listen(self, protocol: Protocol) -> int:
        factory: Any = Factory.forProtocol(lambda: protocol)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def carry(self, flood: Flood, count: int) -> Drain:
        """Send everything to a receiver that reads; return it."""
        drain = Drain()
        where = self.listen(flood)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", where), drain)
        await drain.lost
        await flood.lost
        got = b"".join(drain.got)
        self.assertEqual(len(got), count * CHUNK)
        for number in range(count):
            piece = got[number * CHUNK : (number + 1) * CHUNK]
            self.assertTrue(piece == bytes([(count - 1 - number) % 251]) * CHUNK)
        return drain

    async def test_all_bytes_arrive_in_order_with_one_queued_chunk(self) -> None:
        flood = Flood(400)
        drain = await self.carry(flood, 400)
        self.assertLess(flood.most, CHUNK + 1024)
        self.assertLessEqual(max(map(len, drain.got)), READ_SIZE)
        self.assertGreater(max(map(len, drain.got)), CHUNK)

    async def test_data_written_despite_pause_are_queued(self) -> None:
        flood = HeedlessFlood(400)
        await self.carry(flood, 400)
        self.assertGreater(flood.most, 10 * CHUNK)

    async def test_producer_is_paused_when_data_are_queued(self) -> None:
        flood = Flood(10_000)
        where = self.listen(flood)
        wire = await deferToThread(socket.create_connection, ("127.0.0.1", where), 20)
        theirs = Stalled(wire)
        await deferToThread(theirs.meet)
        while not flood.paused:
            await pause()
        self.assertGreater(flood.left, 0)
        self.assertEqual((flood.paused, flood.may), (1, False))
        self.assertLess(flood.most, CHUNK + 1024)
        wire.close()
        await flood.lost


class Stalled:
    """Another program's end, which reads nothing when it has met."""

    def __init__(self, wire: socket.socket) -> None:
        mine = new_identity()
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(mine.certificate)
        context.use_privatekey(mine.private)
        context.set_alpn_protos([b"bcp/2"])
        wire.setblocking(True)
        wire.settimeout(None)
        self.connection = SSL.Connection(context, wire)
        self.connection.set_connect_state()

    def meet(self) -> None:
        """The handshake."""
        self.connection.do_handshake()


def pause() -> Deferred[None]:
    """The reactor's next turn."""
    done: Deferred[None] = Deferred()
    reactor.callLater(0, done.callback, None)
    return done


class OtherTransportTests(SynchronousTestCase):
    def test_other_transport_is_unchanged(self) -> None:
        begun: list[tuple[object, bool]] = []

        class Other(StringTransport):
            def startTLS(self, context: object, normal: bool = True) -> None:
                begun.append((context, normal))

        start_tls(Other(), "handshake", False)
        self.assertEqual(begun, [("handshake", False)])
