"""TLS 1.3 between people and servers: certificates on both sides, and the key is what is judged.

Self-signed, no authority, no resumption, ALPN `bcp/2`. A key is judged in the verify callback, so
that whoever dialled has not shown a certificate yet when it refuses (RFC 8446, section 4.4). For the
same reason ALPN is looked at there: to a stranger's web server we show nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from OpenSSL import SSL, crypto
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.identity.keys import Identity, key_name
from chatproto.net.fast_tls import connection_for
from chatproto.wire.limits import DEFAULTS, Limits

log = Logger()

ALPN = b"bcp/2"
CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""In the order in which we like them: the first costs least where the processor knows AES."""
CLIENT_HELLO = 0x16
"""The first byte of a TLS connection (RFC 8446, section 5.1: content type handshake)."""
PARTIAL_WRITE = 1
"""OpenSSL's SSL_MODE_ENABLE_PARTIAL_WRITE, which pyOpenSSL sets: one record for each call."""

Judge = Callable[[str], str | None]
"""Says of a key's name why it is refused, in one sentence, or None: it is not."""


class Tls:
    """One identity's way of speaking TLS; a `Handshake` is one connection's."""

    def __init__(self, identity: Identity, limits: Limits = DEFAULTS) -> None:
        self.identity = identity
        self._limits = limits
        context = self._context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_max_proto_version(SSL.TLS1_3_VERSION)
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.private)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET)
        context.set_tls13_ciphersuites(CIPHERS)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.clear_mode(PARTIAL_WRITE)
        context.set_alpn_protos([ALPN])
        context.set_alpn_select_callback(_select)

    def handshake(self, judge: Judge) -> Handshake:
        """What `startTLS` takes, for one connection."""
        return Handshake(self._context, judge, self._limits.certificate)


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class Handshake:
    """One connection's handshake: whose key it showed, and why it was refused, if it was.

    Give it to `transport.startTLS(handshake, normal)`. It is good when `handshakeCompleted` has been
    called and `accepted()` is true: in TLS 1.3 the client is done before the server has judged it.
    """

    def __init__(
        self, context: SSL.Context, judge: Judge, most: int = DEFAULTS.certificate
    ) -> None:
        self.peer_key: str | None = None
        self.refusal: str | None = None
        self._context = context
        self._judge = judge
        self._most = most  # bytes of what they show of themselves
        # Weak, or the memory of a connection that has ended would wait for the collector of cycles.
        self._connection: Callable[[], SSL.Connection | None] = lambda: None

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return self._make(tlsProtocol)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return self._make(tlsProtocol)

    def accepted(self) -> bool:
        """Whether they showed a key that was not refused and speak `bcp/2`; `refusal` says why not."""
        if self.refusal is None and self.peer_key is None:
            self.refusal = "they showed no certificate"
        if self.refusal is None and self._shown() > self._most:
            self.refusal = TOO_LARGE
        return self.refusal is None

    def judge(self, der: bytes) -> str | None:
        """Why the certificate `der` is refused, or None; its key is `peer_key` then."""
        if len(der) > self._most:
            return TOO_LARGE
        try:
            public = x509.load_der_x509_certificate(der).public_key()
        except Exception:  # of many kinds: this reader is stricter than OpenSSL was
            public = None
        if not isinstance(public, Ed25519PublicKey):
            return "their certificate is not one of an Ed25519 key"
        self.peer_key = key_name(public)
        return self._judge(self.peer_key)

    def trouble(self, reason: Failure) -> str:
        """Why the connection ended before anything was said, in one sentence for a person."""
        if self.refusal is not None:
            return self.refusal
        error = reason.value
        if isinstance(error, SSL.Error):
            words = _words(error)
            for sign, sentence in _SIGNS:
                if sign in words:
                    return sentence
            return f"the TLS handshake failed ({words or 'no reason given'})"
        if isinstance(error, (ConnectionDone, ConnectionLost)):
            return BROKEN_OFF
        return str(error)

    def _make(self, layer: Any) -> SSL.Connection:
        connection = connection_for(layer, self._context)
        self._connection = ref(connection)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(
        self, connection: SSL.Connection, shown: Any, error: int, depth: int, preverified: int
    ) -> bool:
        """OpenSSL's question, which it asks several times for the same certificate.

        What is raised here would vanish in OpenSSL: it is a refusal, and our own mistake in the log.
        """
        if self.peer_key is not None or self.refusal is not None:
            return self.refusal is None
        try:
            if connection.get_alpn_proto_negotiated() != ALPN:
                self.refusal = "they speak TLS but not bcp/2"
            elif depth:
                self.refusal = "their certificate is signed by somebody else"
            else:
                self.refusal = self.judge(crypto.dump_certificate(crypto.FILETYPE_ASN1, shown))
        except Exception:
            log.failure("a key could not be judged")
            self.refusal = "their key could not be judged"
        return self.refusal is None

    def _shown(self) -> int:
        """How many bytes of certificates they showed, beside the one that was judged or with it."""
        connection = self._connection()
        assert connection is not None
        chain = connection.get_peer_cert_chain() or ()
        return sum(len(crypto.dump_certificate(crypto.FILETYPE_ASN1, one)) for one in chain)


def _words(error: SSL.Error) -> str:
    """The reasons in `error`: pyOpenSSL's are triples in a list, the system's a number and a word."""
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else [error.args]
    return "; ".join(str(reason[-1]) for reason in reasons if reason)


TOO_LARGE = "their certificate is too large"
BROKEN_OFF = "they ended the connection in the middle of the TLS handshake"
REFUSED = "they refused our key"
NO_TLS = "they do not speak TLS"
OLD = "they speak no TLS 1.3"

_SIGNS = (
    ("close notify", BROKEN_OFF),
    ("wrong version number", NO_TLS),
    ("http request", NO_TLS),
    ("packet length too long", NO_TLS),
    ("data length too long", NO_TLS),
    ("record layer failure", NO_TLS),
    ("unexpected message", NO_TLS),
    ("unsupported protocol", OLD),
    ("alert protocol version", OLD),
    ("no shared", "they have no cipher in common with us"),
    ("did not return a certificate", "they showed no certificate"),
    ("certificate required", "they want a certificate"),
    ("excessive message size", TOO_LARGE),
    ("no application protocol", "they speak TLS but not bcp/2"),
    ("unknown ca", REFUSED),
    ("bad certificate", REFUSED),
    ("certificate unknown", REFUSED),
    ("unsupported certificate", REFUSED),
    ("access denied", REFUSED),
)
"""What OpenSSL says, and what it means."""


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
