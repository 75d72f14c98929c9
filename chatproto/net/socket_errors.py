"""Return in words why a connection or listening on a port failed."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.error import CannotListenError, ConnectError

from chatproto.wire.fields import host_port


def connect_trouble(error: BaseException) -> str:
    """Return the system's message for a connection that failed with `error`, else that of `error`."""
    number = error.osError if isinstance(error, ConnectError) else getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        words = os.strerror(number)
        return words[:1].lower() + words[1:]
    # Some of Twisted's errors end in a full stop, but this is the middle of a sentence.
    return str(error).rstrip(".")


def listen_trouble(error: Exception, every: str = "*") -> str:
    """Return in one sentence why listening failed with `error`; `every` is the host that stands for all
    addresses.
    """
    trouble: Any = error
    if isinstance(error, CannotListenError):
        where, trouble = host_port(error.interface or every, error.port), error.socketError
        if isinstance(error.port, bytes):
            where = f"unix:{os.fsdecode(error.port)}"
    elif isinstance(error, OSError) and error.filename2:
        # The lock file of a Unix socket is a link, whose name is the second one in the error.
        where = f"unix:{os.fsdecode(error.filename2).removesuffix('.lock')}"
    elif isinstance(error, OSError):
        where = f": cannot use {os.fsdecode(error.filename)}" if error.filename else ""
        return f"cannot listen{where}: {error.strerror or error}"
    else:
        return str(error)
    return f"cannot listen on {where}: {getattr(trouble, 'strerror', None) or trouble}"
