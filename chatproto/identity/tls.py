"""Settings of TLS for one identity: version 1.3, ALPN `bcp/2`, no resumption, self-signed certificate."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from chatproto.identity.keys import Identity
from chatproto.net.handshake import ALPN, Handshake, Judge, verify_with
from chatproto.wire.limits import DEFAULTS, Limits

CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""Cipher suites by preference; the first costs least on a processor with AES instructions."""
PARTIAL_WRITE = 1
"""SSL_MODE_ENABLE_PARTIAL_WRITE, which pyOpenSSL sets: each write would send only one record."""


class Tls:
    """TLS context of one identity, which all its connections share; each has a `Handshake`."""

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
        verify_with(context)
        context.set_alpn_protos([ALPN])
        context.set_alpn_select_callback(_select)

    def handshake(self, judge: Judge) -> Handshake:
        """Return the argument of `startTLS` for one connection; `judge` decides on the peer's key."""
        return Handshake(self._context, judge, self._limits.certificate)


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
