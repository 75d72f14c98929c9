"""OpenSSL's memory for a connection of a client is free at its end, without the cycle collector."""

from __future__ import annotations

import gc
from typing import Any
from unittest import skipIf
from weakref import ref

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.net import fast_tls
from chatproto.net.tls_connection import TimedTlsConnection
from chatproto.wire.classic import Sender
from tests.limits import DEFAULTS

HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
NO_TLS = b"\x16\x03\x01\x00\x20" + b"\x00" * 32


class Called(TimedTlsConnection):
    """The end that is called; keeps a weak reference to the OpenSSL connection of each."""

    made: list[Any] = []
    over: Deferred[None]

    def probe(self) -> None:
        """Never asked: the connection ends before."""

    def ended(self, why: str, reason: Failure) -> None:
        self.over.callback(None)


class FirstBytes(Protocol):
    """Hands the connection over with the bytes that came first."""

    def dataReceived(self, data: bytes) -> None:
        clock = IReactorTime(reactor)
        handshake = Tls(new_identity()).handshake(lambda key: None)
        called = Called(Sender.PEER, handshake, DEFAULTS, clock, 60.0)
        Called.over = Deferred()
        called.start(self.transport, data)
        layer = self.transport.protocol  # type: ignore[union-attr]  # TLS has begun
        Called.made.append(ref(layer._tlsConnection))


@skipIf(fast_tls.WHY_PLAIN, fast_tls.WHY_PLAIN)
class EndedTlsTests(TestCase):
    timeout = 60

    async def left_of(self, first: bytes, abort: bool) -> list[Any]:
        """Send `first`, end the connection at either end, and return what is still there."""
        Called.made.clear()
        endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        port = await endpoint.listen(Factory.forProtocol(FirstBytes))
        self.addCleanup(port.stopListening)
        where = f"tcp:127.0.0.1:{port.getHost().port}"
        client: Any = await connectProtocol(clientFromString(reactor, where), Protocol())
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        client.transport.write(first)
        while not Called.made:
            await deferLater(reactor, 0.001, lambda: None)
        if abort:
            client.transport.abortConnection()
        else:
            client.transport.loseConnection()
        await Called.over
        for _ in range(3):
            await deferLater(reactor, 0, lambda: None)
        return [one() for one in Called.made if one() is not None]

    async def test_after_half_a_hello_that_is_reset(self) -> None:
        self.assertEqual(await self.left_of(HALF_A_HELLO, abort=True), [])

    async def test_after_half_a_hello_that_ends(self) -> None:
        self.assertEqual(await self.left_of(HALF_A_HELLO, abort=False), [])

    async def test_after_what_is_no_tls(self) -> None:
        self.assertEqual(await self.left_of(NO_TLS, abort=False), [])
