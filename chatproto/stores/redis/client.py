"""Connect to Redis and carry out commands there. Only this module uses txredisapi."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import txredisapi  # type: ignore[import-untyped]  # it has no types
from OpenSSL.SSL import Error as TlsError
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import TimeoutError
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatproto.net.resolver import endpoint_to
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble

ANSWER = 5.0
"""Seconds after which a command that is not answered never will be."""
LOST = (
    *(ConnectError, ConnectionClosed, DNSLookupError, TimeoutError, OSError),
    *(txredisapi.RedisError, StoreTrouble),
)
"""Exceptions of a Redis that is away, or does not do what it is asked."""


class RedisConnection(txredisapi.RedisProtocol):  # type: ignore[misc]  # it has no types
    """Connection without a factory of txredisapi's. Numbers in replies of text stay text."""

    def __init__(self, reactor: Any, url: RedisUrl) -> None:
        super().__init__(convertNumbers=False)
        self._reactor = reactor
        self._password = url.password
        self._untrusted = False  # True if TLS ended the connection over a certificate

    def connectionMade(self) -> None:
        self.connected = 1

    def connectionLost(self, why: Failure) -> None:
        self._untrusted = bool(why.check(TlsError, CertificateError, VerificationError))
        super().connectionLost(why)

    async def ask(self, *command: str) -> Any:
        """Return the reply to `command`: text, a number, None, or a list of these.

        Bytes in it that are not UTF-8 stay bytes.

        Raises: StoreTrouble: it was not carried out; the sentence repeats neither what stood in the
        command nor the password. One of `LOST`: it may have been carried out.
        """
        reply = self.execute_command(*command)
        reply.addTimeout(ANSWER, self._reactor)
        try:
            return await reply
        except TimeoutError:
            self.transport.abortConnection()
            raise ConnectionError("Redis does not answer") from None
        except txredisapi.ConnectionError:
            if self._untrusted:
                raise StoreTrouble(
                    "TLS failed: one side refused the certificate of the other"
                ) from None
            raise
        except txredisapi.ResponseError as error:
            why = str(error).partition(", with args")[0]  # which would be what somebody said
            if self._password:
                why = why.replace(self._password, "...")
            raise StoreTrouble(f"Redis answered {why.strip().rstrip('.')}") from None


class _Connections(Factory):
    """Make connections, and log nothing about it."""

    noisy = False

    def __init__(self, reactor: Any, url: RedisUrl) -> None:
        self._reactor = reactor
        self._url = url

    def buildProtocol(self, address: object) -> RedisConnection:
        return RedisConnection(self._reactor, self._url)


@asynccontextmanager
async def connected(reactor: Any, url: RedisUrl) -> AsyncIterator[RedisConnection]:
    """Hold a connection to `url`, logged in and in its database, while the `with` block runs.

    Raises: one of `LOST`.
    """
    endpoint: Any = endpoint_to(reactor, url.host, url.port, ANSWER)
    if url.tls is not None:
        endpoint = wrapClientTLS(url.tls, endpoint)
    connection: Any = await endpoint.connect(_Connections(reactor, url))
    try:
        if url.password is not None:
            user = (url.user,) if url.user else ()
            await connection.ask("AUTH", *user, url.password)
        await connection.ask("SELECT", str(url.database))
        yield connection
    finally:
        connection.transport.abortConnection()
