"""Test bad TLS on the port: the client is dropped, nobody else notices, nothing is left."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from chatproto.wire.bcp2_common import Ping, PingAck
from tests.identity.ends import certificate
from tests.server.secure_ends import ONE, OTHER, Served
from tests.server.test_work_queue import Job


@implementer(IOpenSSLClientConnectionCreator)
class Foreign:
    """TLS with other settings than ours."""

    def __init__(
        self,
        shown: Any = None,
        private: Any = None,
        alpn: bytes | None = b"bcp/2",
        newest: int = SSL.TLS1_3_VERSION,
    ) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.set_max_proto_version(newest)
        self._context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        if shown is not None:
            self._context.use_certificate(shown)
            self._context.use_privatekey(private)
        if alpn is not None:
            self._context.set_alpn_protos([alpn])

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class Handshakes(Served):
    async def test_begin_in_a_later_turn_when_much_was_done_in_this_one(self) -> None:
        self.serve()
        turns = self.factory.turns
        turns.ask(Job(self.clock, 8))
        self.assertEqual(len(turns), 1)
        coming = ensureDeferred(self.come())
        await self.until(lambda: len(turns) == 2)
        self.assertEqual(len(self.side.connections), 0)
        self.clock.advance(0)
        alice = await coming
        self.assertEqual(await self.ask(alice, Ping(1)), PingAck(1))

    async def test_queued_end_with_the_server(self) -> None:
        self.serve()
        self.factory.turns.ask(Job(self.clock, 8))
        client = await self.connect()
        client.send(b"\x16\x03\x01\x02\x00\x01")
        await self.until(lambda: len(self.factory.turns) == 2)
        self.factory.close_all()
        self.clock.advance(0)
        await client.ended
        self.assertEqual(client.bytes, b"")


class Strangers(Served):
    async def refused(self, creator: Any) -> None:
        """Check that the client receives only the end, and another one is served."""
        client = await self.connect()
        client.secure(creator)
        await client.ready
        if not client.gone:
            client.send(Ping(1))
            await client.ended
        self.assertEqual(client.got, [])
        self.assertEqual(await self.ask(self.alice, Ping(2)), PingAck(2))
        await self.until(lambda: len(self.factory) == 1)
        self.assertEqual(len(self.side.connections), 1)

    async def start(self) -> None:
        self.serve()
        self.alice = await self.register("alice")

    async def test_without_a_certificate(self) -> None:
        await self.start()
        await self.refused(Foreign())

    async def test_with_tls_1_2(self) -> None:
        await self.start()
        await self.refused(Foreign(OTHER.certificate, OTHER.private, newest=SSL.TLS1_2_VERSION))

    async def test_without_our_protocol_or_with_another(self) -> None:
        await self.start()
        for alpn in (None, b"h2"):
            await self.refused(Foreign(OTHER.certificate, OTHER.private, alpn))

    async def test_with_a_certificate_of_another_kind_or_of_a_megabyte(self) -> None:
        await self.start()
        private = ec.generate_private_key(ec.SECP256R1())
        await self.refused(Foreign(certificate(private), private))
        shown = certificate(OTHER.private, padding=1_000_000)
        await self.refused(Foreign(shown, OTHER.private))

    async def test_with_what_only_begins_like_tls(self) -> None:
        await self.start()
        for data in (
            b"\x16garbage" * 100,
            b"\x16\x03\x01\x00\x05hello",
            b"\x16" + b"\xff" * 70_000,
        ):
            client = await self.connect()
            client.send(data)
            await self.until(lambda client=client: client.gone or len(self.factory) == 2)  # type: ignore[misc]
            self.pass_time(11)
            await client.ended
            await self.until(lambda: len(self.factory) == 1)
            self.alice.got.clear()
            self.alice.send(Ping(2))
            await self.until(lambda: bool(self.alice.got))
            self.assertEqual(self.alice.got, [PingAck(2)])

    async def test_that_stop_within_the_handshake(self) -> None:
        await self.start()
        client = await self.connect()
        hello = SSL.Connection(Foreign(OTHER.certificate, OTHER.private)._context, None)
        hello.set_connect_state()
        self.assertRaises(SSL.WantReadError, hello.do_handshake)
        data = hello.bio_read(65536)
        client.send(data[:50])
        await self.calm()
        client.send(data[50:])
        await self.until(lambda: bool(client.bytes))
        client.transport.abortConnection()
        await client.ended
        await self.until(lambda: len(self.factory) == 1)
        self.assertEqual(await self.ask(self.alice, Ping(2)), PingAck(2))

    async def test_that_send_plain_text_after_tls_began(self) -> None:
        await self.start()
        other = await self.come(OTHER)
        other.transport.protocol.transport.write(b"PING\r\nCSeq: 1\r\n\r\n" * 10)
        await other.ended
        self.assertEqual(await self.ask(self.alice, Ping(2)), PingAck(2))
        self.assertEqual(ONE.name, next(iter(self.side.connections)).key)
