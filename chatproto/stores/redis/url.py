"""Address of a Redis, and the login data."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from OpenSSL.SSL import Error as TlsError
from twisted.internet import ssl

from chatproto.wire.fields import host_port

PORT = 6379
PASSWORD_VARIABLE, USER_VARIABLE = "CHATPROTO_REDIS_PASSWORD", "CHATPROTO_REDIS_USER"
FORM = "write a Redis as redis://[USER@]HOST[:PORT][/DB], or rediss:// for TLS"
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class RedisUrl:
    """The address of a Redis, `redis[s]://[user@]host[:port][/database]`, and the login data.

    `rediss` is TLS. `authority` is the PEM text of the certificates that may sign the server's
    (default: the platform's), `certificate` the PEM text of our own certificate and its key, if Redis
    requires one. `replicas`: how many replicas must have a change before it is acknowledged, 0 to 9.
    Raises ValueError with one sentence, which never repeats a possible password.
    """

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        authority: bytes | None = None,
        certificate: bytes | None = None,
        replicas: int = 0,
    ) -> None:
        self.replicas = replicas
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(FORM) from None
        if parts.password is not None:
            raise ValueError(
                "every user of this machine can read a password in --store: use"
                f" {PASSWORD_VARIABLE} or --redis-password-file"
            )
        path = parts.path.strip("/")
        named = parts.scheme in ("redis", "rediss") and parts.hostname
        if not named or parts.query or parts.fragment or (path and not path.isdecimal()):
            raise ValueError(FORM)
        self.host = parts.hostname or ""
        self.port = PORT if port is None else port
        self.database = int(path or 0)
        self.user = unquote(parts.username) if parts.username else user
        self._scheme = parts.scheme
        self.renew(password, authority, certificate)

    def renew(
        self, password: str | None, authority: bytes | None, certificate: bytes | None
    ) -> None:
        """Use these login data from the next connection on; see the constructor.

        Raises ValueError for invalid certificates; then the former ones still apply.
        """
        tls: Any = None
        if self._scheme == "rediss":
            tls = _tls_options(self.host, authority, certificate)
        elif authority is not None or certificate is not None:
            raise ValueError("certificates need TLS: write rediss:// in --store")
        self.password, self.tls = password, tls

    def __str__(self) -> str:
        scheme = "redis" if self.tls is None else "rediss"
        return f"{scheme}://{host_port(self.host, self.port)}/{self.database}"


def _tls_options(host: str, authority: bytes | None, certificate: bytes | None) -> Any:
    """Return the TLS options for connections to `host`. Raises ValueError for invalid PEM."""
    try:
        trusted = None
        if authority is not None:
            found = [ssl.Certificate.loadPEM(one) for one in PEM.findall(authority)]
            if not found:
                raise ValueError
            trusted = ssl.trustRootFromCertificates(found)
        own = None if certificate is None else ssl.PrivateCertificate.loadPEM(certificate)
    except (ValueError, TlsError):
        raise ValueError("the certificates for Redis are not in PEM format") from None
    return ssl.optionsForClientTLS(host, trustRoot=trusted, clientCertificate=own)
