"""The TLS handshake of one connection: the peer's key, and why it was refused.

TLS 1.3 with a certificate on both sides and ALPN `bcp/2`. Certificates are self-signed: only the
Ed25519 key in them counts. A key is judged in OpenSSL's verify callback, so that the dialling end has
not sent its own certificate yet when it refuses (RFC 8446, section 4.4). ALPN is checked there too: an
unrelated web server never receives our certificate.
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

from chatproto.net.fast_tls import TlsEnd, connection_for
from chatproto.net.keys import key_name
from chatproto.wire.limits import DEFAULTS
from chatproto.wire.reasons import (
    HANDSHAKE_ERROR,
    KEY_NOT_JUDGED,
    LARGE_CERTIFICATE,
    NO_BCP2,
    NO_CERTIFICATE,
    NO_COMMON_CIPHER,
    NOT_ED25519,
    NOT_SELF_SIGNED,
    OLD_TLS,
    OUR_KEY_REFUSED,
    WANTS_CERTIFICATE,
    Cause,
    Reason,
    reason_of,
)

log = Logger()

ALPN = b"bcp/2"

Judge = Callable[[str], str | None]
"""Function that gets the name of the peer's key and returns why it is refused, in one sentence, or
None.
"""


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class Handshake:
    """Create the OpenSSL connection of one TLS connection, and judge the peer's key.

    Pass it to `transport.startTLS(handshake, normal)`. The handshake has succeeded when
    `handshakeCompleted` was called and `accepted()` is true; in TLS 1.3 the client completes it before
    the server has judged its key.

    Args: context: the settings of TLS. judge: decides on the peer's key. most: largest total size in
    bytes of the peer's certificates.
    """

    peer_key: str | None = None
    """Name of the key that the peer proved."""
    refusal: str | None = None
    """Reason why the peer was refused."""

    def __init__(
        self, context: SSL.Context, judge: Judge, most: int = DEFAULTS.certificate
    ) -> None:
        self._context = context
        self._judge = judge
        self._most = most
        # Weak, or the memory of an ended connection would wait for the cycle collector.
        self._connection: Callable[[], SSL.Connection | None] = lambda: None

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = connection_for(tlsProtocol, self._context)
        self._connection = ref(connection)
        connection.handshake = self
        return connection

    clientConnectionForTLS = serverConnectionForTLS

    def accepted(self) -> bool:
        """Return True if the peer proved a key that was not refused; otherwise set `refusal`."""
        if self.refusal is None and self.peer_key is None:
            self.refusal = NO_CERTIFICATE()
        if self.refusal is None and self._shown() > self._most:
            self.refusal = LARGE_CERTIFICATE()
        return self.refusal is None

    def judge(self, der: bytes) -> str | None:
        """Return why the certificate `der` is refused, or None; sets `peer_key` to the name of its key."""
        if len(der) > self._most:
            return LARGE_CERTIFICATE()
        try:
            public = x509.load_der_x509_certificate(der).public_key()
        except Exception:  # of many kinds: this parser is stricter than OpenSSL
            public = None
        if not isinstance(public, Ed25519PublicKey):
            return NOT_ED25519()
        self.peer_key = key_name(public)
        return self._judge(self.peer_key)

    def trouble(self, reason: Failure) -> Cause:
        """Return why the connection ended before the first message, in one sentence for the user."""
        if self.refusal is not None:
            return Cause(reason_of(self.refusal, Reason.BAD_KEY), self.refusal)
        error = reason.value
        if isinstance(error, SSL.Error):
            words = _words(error)
            for sign, sentence in _SIGNS:
                if sign in words:
                    return sentence
            return HANDSHAKE_ERROR(words=words or "no reason given")
        if isinstance(error, (ConnectionDone, ConnectionLost)):
            return BROKEN_OFF
        return Cause(Reason.CONNECTION_LOST, str(error))

    def verify(self, connection: SSL.Connection, shown: Any, depth: int) -> bool:
        """Answer OpenSSL's verify callback, which is called several times for the same certificate.

        An exception would be lost in OpenSSL: it is logged, and the peer is refused.
        """
        if self.peer_key is not None or self.refusal is not None:
            return self.refusal is None
        try:
            if connection.get_alpn_proto_negotiated() != ALPN:
                self.refusal = NO_BCP2()
            elif depth:
                self.refusal = NOT_SELF_SIGNED()
            else:
                self.refusal = self.judge(crypto.dump_certificate(crypto.FILETYPE_ASN1, shown))
        except Exception:
            log.failure("a key could not be judged")
            self.refusal = KEY_NOT_JUDGED()
        return self.refusal is None

    def _shown(self) -> int:
        """Return the bytes of all certificates that the peer sent, including the judged one."""
        connection = self._connection()
        assert connection is not None
        chain = connection.get_peer_cert_chain() or ()
        return sum(len(crypto.dump_certificate(crypto.FILETYPE_ASN1, one)) for one in chain)


def verify_with(context: SSL.Context) -> None:
    """Make each connection of `context` ask its own `Handshake` about the peer's certificate."""
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)


def _verify(
    connection: SSL.Connection, shown: Any, error: int, depth: int, preverified: int
) -> bool:
    assert isinstance(connection, TlsEnd)
    verified: bool = connection.handshake.verify(connection, shown, depth)
    return verified


def _words(error: SSL.Error) -> str:
    """Return the reasons in `error`: pyOpenSSL's triples in a list, or the system's number and word."""
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else [error.args]
    return "; ".join(str(reason[-1]) for reason in reasons if reason)


BROKEN_OFF = Cause(Reason.TLS_BROKEN_OFF)
REFUSED = OUR_KEY_REFUSED()
NO_TLS = Cause(Reason.NOT_TLS)
OLD = OLD_TLS()

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
    ("no shared", NO_COMMON_CIPHER()),
    ("did not return a certificate", NO_CERTIFICATE()),
    ("certificate required", WANTS_CERTIFICATE()),
    ("excessive message size", LARGE_CERTIFICATE()),
    ("no application protocol", NO_BCP2()),
    ("unknown ca", REFUSED),
    ("bad certificate", REFUSED),
    ("certificate unknown", REFUSED),
    ("unsupported certificate", REFUSED),
    ("access denied", REFUSED),
)
"""Words in OpenSSL's reasons, and the sentence for each; the first match counts."""
