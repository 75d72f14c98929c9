"""Dial from the port on which we listen, so that peers can call us at the address that a server sees."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from chatproto.net.resolver import endpoint_to


def connect(
    reactor: IReactorTime, host: str, port: int, wait: float, protocol: Any, own_port: Any
) -> Deferred[Any]:
    """Connect `protocol` to `host:port` within `wait` seconds, from `own_port`, a binding or None.

    If that port already has a connection to that address, any other port is used.
    """

    def connected(binding: Any) -> Deferred[Any]:
        endpoint = endpoint_to(reactor, host, port, wait, binding)
        made: Deferred[Any] = connectProtocol(endpoint, protocol)
        return made

    if own_port is None:
        return connected(None)
    return connected(own_port).addErrback(
        lambda failure: connected(None) if _is_taken(failure) else failure
    )


def _is_taken(failure: Failure) -> bool:
    error = failure.value
    return isinstance(error, ConnectBindError) or (
        isinstance(error, ConnectError) and error.osError in (errno.EADDRNOTAVAIL, errno.EADDRINUSE)
    )
