"""Dial peers in plain text or for TLS, and join a relay."""

from __future__ import annotations

from socket import gaierror
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    NoRouteError,
    TimeoutError,
)
from twisted.python.failure import Failure

from chatproto.client.context import Context
from chatproto.directory.own_port import connect
from chatproto.net.resolver import endpoint_to
from chatproto.net.socket_errors import connect_trouble
from chatproto.relay.client import NoRelay, RelayEnd, join
from chatproto.session.plain_connection import PlainPeerConnection, PlainPeerOwner
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.wire.dialects import Dialect
from chatproto.wire.fields import host_port
from chatproto.wire.reasons import (
    DIAL_CANCELLED,
    DIAL_FAILED,
    HOST_UNKNOWN,
    NO_ANSWER_WITHIN,
    NO_ROUTE,
    NOBODY_LISTENS,
    CodedError,
    Reason,
    reason_of,
)


class PeerUnreachable(CodedError):
    """Failure to reach a peer; its code is that of the sentence, if that is a `Cause`."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, reason_of(sentence, Reason.UNREACHABLE))


class Dialer:
    """Dial addresses, with a timeout of `limits.dial_wait` seconds each."""

    def __init__(self, context: Context) -> None:
        self._reactor = context.clock
        self._limits = context.limits
        self._own_addresses = context.own_addresses

    def dial(
        self, owner: PlainPeerOwner, host: str, port: int, dialect: Dialect
    ) -> Deferred[PlainPeerConnection]:
        """Dial `host:port` in `dialect`. Fails with PeerUnreachable; cancelling stops it."""
        endpoint = endpoint_to(self._reactor, host, port, self._limits.dial_wait)
        connection = PlainPeerConnection(owner, self._reactor, self._limits, dialect)
        dialled: Deferred[PlainPeerConnection] = connectProtocol(endpoint, connection)
        return dialled.addErrback(self._explain, host_port(host, port))

    def dial_secure(
        self, host: str, port: int, connection: SecurePeerConnection, as_heard: bool = False
    ) -> Deferred[SecurePeerConnection]:
        """Dial `host:port` for `connection`. Fails with PeerUnreachable.

        It fires once the stream is connected, when TLS has only begun.
        `as_heard`: dial from our listening port, which the peer was told. Any port is used if the
        listening port already has a connection to that address.
        """

        own_port = self._own_addresses.own_port if as_heard else None
        wait = self._limits.dial_wait
        dialled: Deferred[SecurePeerConnection] = connect(
            self._reactor, host, port, wait, connection, own_port
        )
        return dialled.addErrback(self._explain, host_port(host, port))

    def join_relay(
        self, host: str, port: int, ticket: str, near: bool = True
    ) -> Deferred[RelayEnd]:
        """Join the pipe of `ticket` at a relay, which may be on this machine only if `near`.

        Fails with NoRelay or PeerUnreachable.
        """
        joining = join(self._reactor, host, port, ticket, self._limits, near)
        return Deferred.fromCoroutine(joining).addErrback(self._explain, host_port(host, port))

    def _explain(self, failure: Failure, where: str) -> Any:
        error = failure.value
        match error:
            case NoRelay():
                return failure
            case ConnectionRefusedError():
                cause = NOBODY_LISTENS(where=where)
            case TimeoutError():
                cause = NO_ANSWER_WITHIN(where=where, seconds=self._limits.dial_wait)
            case DNSLookupError():
                cause = HOST_UNKNOWN(host=where.rpartition(":")[0])
            case NoRouteError():
                cause = NO_ROUTE(where=where)
            case CancelledError() | ConnectingCancelledError():
                cause = DIAL_CANCELLED(where=where)
            case ValueError() | gaierror():  # not a valid host name
                cause = HOST_UNKNOWN(host=where.rpartition(":")[0])
            case ConnectError() | OSError():
                cause = DIAL_FAILED(where=where, error=connect_trouble(error))
            case _:
                failure.raiseException()
        raise PeerUnreachable(cause)
