"""The two ends of a TLS connection in memory: ours, and a stranger who may do as they like."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.identity.keys import Identity
from chatproto.identity.tls import Tls
from chatproto.net.handshake import ALPN, Handshake, Judge


def anybody(key: str) -> str | None:
    """Refuses no key."""
    return None


@implementer(IHandshakeListener)
class Talk(Protocol):
    """Record the messages, and how the connection ended."""

    handshake: Handshake

    def __init__(self) -> None:
        self.done = 0
        self.heard = b""
        self.lost: Failure | None = None

    def handshakeCompleted(self) -> None:
        self.done += 1

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason

    @property
    def accepted(self) -> bool:
        """True if the peer's key is proved and not refused."""
        return bool(self.done) and self.handshake.accepted()

    @property
    def trouble(self) -> str:
        """Sentence that the user is told."""
        assert self.lost is not None
        return self.handshake.trouble(self.lost)


class End:
    """Our end: the protocol, TLS beneath it, and the bytes that it wrote."""

    def __init__(self, tls: Tls, client: bool, judge: Judge = anybody) -> None:
        self.talk = Talk()
        self.talk.handshake = tls.handshake(judge)
        self.wire = StringTransport()
        factory: Any = Factory()
        factory.protocol = lambda: self.talk
        self.clock: Any = Clock()  # by which TLS gathers what is written at once
        wrapper = TLSMemoryBIOFactory(self.talk.handshake, client, factory, self.clock)
        self.tls: Any = wrapper.buildProtocol(None)
        self.tls.makeConnection(self.wire)

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        self.clock.advance(0)
        data: bytes = self.wire.value()
        self.wire.clear()
        return data

    def give(self, data: bytes) -> None:
        """Bytes from the other side, and the end if we wanted one."""
        if data and self.talk.lost is None:
            self.tls.dataReceived(data)

    def end(self) -> None:
        """The connection beneath has ended."""
        if self.talk.lost is None:
            self.tls.connectionLost(Failure(ConnectionDone()))


def meet(one: End, other: End) -> None:
    """Carry bytes between the two until both are silent."""
    while True:
        there, back = one.take(), other.take()
        if not there and not back:
            break
        other.give(there)
        one.give(back)
    for end in (one, other):
        if one.wire.disconnecting or other.wire.disconnecting:
            end.end()


def certificate(
    private: Any, *, padding: int = 0, issuer: Any = None, name: str = "x", by: str = "x"
) -> x509.Certificate:
    """A certificate of any key, `padding` bytes larger than need be, signed by `issuer` or itself."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(by))
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2001, 1, 1, tzinfo=UTC))
    )
    if padding:
        filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x" * padding)
        builder = builder.add_extension(filler, critical=False)
    signer = issuer or private
    return builder.sign(signer, None if hasattr(signer, "private_bytes_raw") else SHA256())


class Stranger:
    """Another program's end of a TLS connection, with any settings."""

    def __init__(
        self,
        client: bool,
        private: Any = None,
        shown: Any = None,
        *,
        alpn: tuple[bytes, ...] = (ALPN,),
        newest: int | None = None,
        chain: Iterable[x509.Certificate] = (),
        session: SSL.Session | None = None,
        context: SSL.Context | None = None,
    ) -> None:
        self.context = context or self._context(private, shown, alpn, newest, chain)
        self.connection = SSL.Connection(self.context, None)
        if session is not None:
            self.connection.set_session(session)
        if client:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()
        self.error: SSL.Error | None = None

    @classmethod
    def of(cls, client: bool, identity: Identity, **settings: Any) -> Stranger:
        """One who has a key such as ours."""
        return cls(client, identity.private, identity.certificate, **settings)

    @staticmethod
    def _context(
        private: Any,
        shown: Any,
        alpn: tuple[bytes, ...],
        newest: int | None,
        chain: Iterable[x509.Certificate],
    ) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        if newest is not None:
            context.set_max_proto_version(newest)
        if private is not None:
            context.use_certificate(shown or certificate(private))
            context.use_privatekey(private)
        for one in chain:
            context.add_extra_chain_cert(one)
        if alpn:
            context.set_alpn_protos(list(alpn))
            context.set_alpn_select_callback(
                lambda _, offered: alpn[0] if alpn[0] in offered else SSL.NO_OVERLAPPING_PROTOCOLS
            )
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        return context

    def take(self) -> bytes:
        """Return the bytes to send, after carrying the handshake on."""
        if self.error is None:
            try:
                self.connection.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.error = error
        data = b""
        try:
            while True:
                data += self.connection.bio_read(1 << 16)
        except SSL.WantReadError:
            return data

    def meet(self, end: End) -> None:
        """Carry bytes between the two until both are silent."""
        while True:
            there, back = self.take(), end.take()
            if not there and not back:
                break
            end.give(there)
            if back:
                self.connection.bio_write(back)
        if end.wire.disconnecting or self.error is not None:
            end.end()

    def saw_certificate(self) -> bool:
        """Return True if the other end has shown its certificate."""
        return self.connection.get_peer_certificate() is not None

    def read(self) -> bytes:
        """Return the received data; raises SSL.Error for an alert."""
        return self.connection.recv(1 << 16)


def new_key() -> Ed25519PrivateKey:
    """A key that nobody has had before."""
    return Ed25519PrivateKey.generate()
