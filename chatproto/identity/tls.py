"""TLS 1.3 between people and servers: certificates on both sides, and the key is what is judged.

Self-signed, no authority, no resumption, ALPN `bcp/2`. A key is judged in the verify callback, so
that whoever dialled has not shown a certificate yet when it refuses (RFC 8446, section 4.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.identity.keys import Identity, key_name

ALPN = b"bcp/2"
CLIENT_HELLO = 0x16
"""The first byte of a TLS connection (RFC 8446, section 5.1: content type handshake)."""

Judge = Callable[[str], str | None]
"""Says of a key's name why it is refused, in one sentence, or None: it is not."""


class Tls:
    """One identity's way of speaking TLS; a `Handshake` is one connection's."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        context = self._context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_max_proto_version(SSL.TLS1_3_VERSION)
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.private)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_alpn_protos([ALPN])
        context.set_alpn_select_callback(_select)

    def handshake(self, judge: Judge) -> Handshake:
        """What `startTLS` takes, for one connection."""
        return Handshake(self._context, judge)


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class Handshake:
    """One connection's handshake: whose key it showed, and why it was refused, if it was.

    Give it to `transport.startTLS(handshake, normal)`. It is good when `handshakeCompleted` has been
    called and `accepted()` is true: in TLS 1.3 the client is done before the server has judged it.
    """

    def __init__(self, context: SSL.Context, judge: Judge) -> None:
        self.peer_key: str | None = None
        self.refusal: str | None = None
        self._context = context
        self._judge = judge
        self._connection: SSL.Connection | None = None

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return self._make()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return self._make()

    def accepted(self) -> bool:
        """Whether they showed a key that was not refused and speak `bcp/2`; `refusal` says why not."""
        assert self._connection is not None
        if self.refusal is None and self._connection.get_alpn_proto_negotiated() != ALPN:
            self.refusal = "they speak TLS but not bcp/2"
        if self.refusal is None and self.peer_key is None:
            self.refusal = "they showed no certificate"
        return self.refusal is None

    def judge(self, certificate: Any, depth: int) -> bool:
        """Look at the certificate that they show."""
        public = certificate.to_cryptography().public_key() if depth == 0 else None
        if not isinstance(public, Ed25519PublicKey):
            self.refusal = "their certificate is not one of an Ed25519 key of its own"
            return False
        self.peer_key = key_name(public)
        self.refusal = self._judge(self.peer_key)
        return self.refusal is None

    def trouble(self, reason: Failure) -> str:
        """Why the connection ended before anything was said, in one sentence for a person."""
        if self.refusal is not None:
            return self.refusal
        error = reason.value
        if isinstance(error, SSL.Error):
            words = " ".join(str(part) for entry in error.args for one in entry for part in one)
            for sign, sentence in _SIGNS:
                if sign in words:
                    return sentence
            return f"TLS failed ({words.strip() or 'no reason given'})"
        if isinstance(error, (ConnectionDone, ConnectionLost)):
            return "they ended the connection in the middle of the TLS handshake"
        return str(error)

    def _make(self) -> SSL.Connection:
        connection = self._connection = SSL.Connection(self._context, None)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(
        self, connection: SSL.Connection, shown: Any, error: int, depth: int, preverified: int
    ) -> bool:
        """OpenSSL's question, which it asks several times for the same certificate."""
        if self.peer_key is not None or self.refusal is not None:
            return self.refusal is None
        return self.judge(shown, depth)


_SIGNS = (
    ("wrong version number", "they do not speak TLS"),
    ("http request", "they do not speak TLS"),
    ("packet length too long", "they do not speak TLS"),
    ("record layer failure", "they do not speak TLS"),
    ("unexpected message", "they do not speak TLS"),
    ("unsupported protocol", "they speak no TLS 1.3"),
    ("alert protocol version", "they speak no TLS 1.3"),
    ("no shared", "they have no cipher in common with us"),
    ("did not return a certificate", "they showed no certificate"),
    ("certificate required", "they want a certificate"),
    ("excessive message size", "their certificate is too large"),
    ("alert", "they refused our key"),
)
"""What OpenSSL says, and what it means."""


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
