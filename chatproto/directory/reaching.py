"""Explain to the user why a server cannot be reached."""

from __future__ import annotations

from socket import gaierror

from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)

from chatproto.net.socket_errors import connect_trouble
from chatproto.wire.reasons import (
    NO_HOST_NAME,
    NO_SERVER_AT,
    SERVER_HOST_UNKNOWN,
    SERVER_NOT_REACHED,
    SERVER_SILENT,
)


def why_unreached(error: BaseException | None, name: str) -> str:
    """Explain in one sentence a failed connection to the server at `name` (`host:port`)."""
    host = name.rpartition(":")[0]
    match error:
        case ConnectionRefusedError():
            return NO_SERVER_AT(server=name)
        case DNSLookupError() | gaierror():
            return SERVER_HOST_UNKNOWN(host=host)
        case TimeoutError():
            return SERVER_SILENT(server=name)
        case ConnectError() | OSError():
            return SERVER_NOT_REACHED(server=name, error=connect_trouble(error))
        case ValueError():
            return NO_HOST_NAME(host=host)
    return str(error)
