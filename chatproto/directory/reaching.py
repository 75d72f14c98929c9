"""Explain to the user why a server cannot be reached."""

from __future__ import annotations

from socket import gaierror

from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)


def why_unreached(error: BaseException | None, name: str) -> str:
    """Explain in one sentence a failed connection to the server at `name` (`host:port`)."""
    host = name.rpartition(":")[0]
    match error:
        case ConnectionRefusedError():
            return f"there is no server at {name} (connection refused)"
        case DNSLookupError() | gaierror():
            return f"there is no host {host}"
        case TimeoutError():
            return f"no answer from the server at {name}"
        case ConnectError() | OSError():
            # Some of Twisted's errors end in a full stop, and this is the middle of a sentence.
            return f"the server at {name} cannot be reached ({str(error).rstrip('.')})"
        case ValueError():
            return f"{host!r} is no name of a host"
    return str(error)
