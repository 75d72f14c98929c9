"""TLS on real sockets, begun as the ports begin it: after a look at the first byte."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.net.handshake import Judge
from chatproto.wire.strict import TLS_CLIENT_HELLO
from tests.identity.ends import Talk, anybody

reactor: Any = global_reactor
ALICE, BOB, EVE = new_identity(), new_identity(), new_identity()


class Side(Talk):
    """One side of a connection; `client`: the TLS client, whoever dialled."""

    transport: Any

    def __init__(self, tls: Tls, client: bool, dialled: bool, judge: Judge = anybody) -> None:
        super().__init__()
        self.handshake = tls.handshake(judge)
        self.client = client
        self.dialled = dialled
        self.plain = b""
        self.begun = False
        self.ready: Deferred[Side] = Deferred()
        self.gone: Deferred[Side] = Deferred()
        self.told: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        if self.client:
            self.begin()

    def begin(self) -> None:
        self.begun = True
        self.transport.startTLS(self.handshake, self.client == self.dialled)

    def dataReceived(self, data: bytes) -> None:
        if self.begun:
            self.heard += data
            if self.heard.endswith(b"."):
                self.told.callback(self.heard)
        elif data[0] == TLS_CLIENT_HELLO:
            self.begin()
            self.transport.protocol.dataReceived(data)
        else:
            self.plain += data
            self.transport.loseConnection()

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        if self.handshake.accepted():
            self.ready.callback(self)
        else:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.gone.callback(self)


class StartTlsTests(TestCase):
    """Two sides that meet on loopback."""

    timeout = 20

    async def listen(self, side: Side) -> TCP4ClientEndpoint:
        factory: Any = Factory()
        factory.protocol = lambda: side
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    async def meet(self, called: Side, caller: Side) -> None:
        await connectProtocol(await self.listen(called), caller)

    async def end(self, *sides: Side) -> None:
        for side in sides:
            side.transport.loseConnection()
        await gatherResults([side.gone for side in sides])

    async def talk(self, called: Side, caller: Side) -> None:
        await self.meet(called, caller)
        await gatherResults([called.ready, caller.ready])
        caller.transport.write(b"x" * 100_000 + b".")
        called.transport.write(b"y" * 100_000 + b".")
        self.assertEqual(await called.told, b"x" * 100_000 + b".")
        self.assertEqual(await caller.told, b"y" * 100_000 + b".")
        self.assertEqual(called.handshake.peer_key, ALICE.name)
        self.assertEqual(caller.handshake.peer_key, BOB.name)
        await self.end(called, caller)

    async def test_dialling_end_is_the_tls_client(self) -> None:
        await self.talk(Side(Tls(BOB), False, False), Side(Tls(ALICE), True, True))

    async def test_two_talk_with_the_roles_turned(self) -> None:
        await self.talk(Side(Tls(BOB), True, False), Side(Tls(ALICE), False, True))

    async def test_one_server_talks_to_several_at_once(self) -> None:
        server, clients = Tls(BOB), Tls(ALICE)
        await gatherResults(
            [
                Deferred.fromCoroutine(
                    self.talk(Side(server, False, False), Side(clients, True, True))
                )
                for _ in range(8)
            ]
        )

    async def test_plain_text_on_the_same_port_is_seen_as_such(self) -> None:
        called = Side(Tls(BOB), False, False)
        plain = Side(Tls(ALICE), False, True)
        await self.meet(called, plain)
        plain.transport.write(b"REGISTER\r\n")
        await called.gone
        self.assertEqual(called.plain, b"REGISTER\r\n")
        self.assertFalse(called.begun)
        await plain.gone

    async def test_man_in_the_middle_is_refused_by_both(self) -> None:
        def judge(key: str) -> str | None:
            return None if key == BOB.name else "that is not Bob's key"

        called, caller = Side(Tls(EVE), False, False), Side(Tls(ALICE), True, True, judge)
        await self.meet(called, caller)
        await gatherResults([called.gone, caller.gone])
        self.assertEqual(caller.trouble, "that is not Bob's key")
        self.assertEqual(called.trouble, "the other program refused our key")
        self.assertIsNone(called.handshake.peer_key)

    async def test_refused_client_learns_it_at_the_end(self) -> None:
        def judge(key: str) -> str | None:
            return "nobody is let in"

        called, caller = Side(Tls(BOB), False, False, judge), Side(Tls(ALICE), True, True)
        await self.meet(called, caller)
        await gatherResults([called.gone, caller.gone])
        self.assertTrue(caller.done)  # in TLS 1.3 it is done before it is judged
        self.assertEqual(caller.trouble, "the other program refused our key")
        self.assertFalse(called.done)

    async def test_half_a_handshake_ends_with_its_connection(self) -> None:
        called, caller = Side(Tls(BOB), False, False), Side(Tls(ALICE), False, True)
        await self.meet(called, caller)
        caller.transport.write(bytes([TLS_CLIENT_HELLO, 3, 1, 0, 200, 1]))
        caller.transport.loseConnection()
        await gatherResults([called.gone, caller.gone])
        self.assertFalse(called.done)
        self.assertIn("during the TLS handshake", called.trouble)
