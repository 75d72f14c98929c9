"""Say why a connection could not be made."""

from __future__ import annotations

import os

from twisted.internet.error import ConnectError


def connect_trouble(error: BaseException) -> str:
    """Return the system's words for a connection that failed with `error`, else those of `error`."""
    number = error.osError if isinstance(error, ConnectError) else getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        words = os.strerror(number)
        return words[:1].lower() + words[1:]
    # Some of Twisted's errors end in a full stop, and this is the middle of a sentence.
    return str(error).rstrip(".")
