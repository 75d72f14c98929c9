"""The one exception of the library."""

from __future__ import annotations

from pathlib import Path

from chatproto.wire.reasons import Reason


class Refused(Exception):
    """A request was refused, failed, or did not end in time.

    Args: code: of the table "Codes" in docs/operations.md; programs decide by it. status: number of the
    protocol, such as 403, or None. text: one sentence for the user, which may change.
    """

    def __init__(self, code: str, status: int | None = None, text: str = "") -> None:
        super().__init__(code, status, text)
        self.code = code
        self.status = status
        self.text = text

    def again(self) -> Refused:
        """Return a copy of this error: one that is raised often would collect all tracebacks."""
        return Refused(self.code, self.status, self.text)

    def __str__(self) -> str:
        return f"{self.text or 'refused'} ({self.code})"


def _of(reason: Reason, text: str) -> Refused:
    return Refused(reason.code, reason.status, text)


def closed(text: str = "the connection to the client was closed") -> Refused:
    """Return the error of requests when the connection ends, or after that."""
    return _of(Reason.STOPPING, text)


def too_late(seconds: float) -> Refused:
    """Return the error of a request that has not ended within `seconds`."""
    return _of(Reason.TIMEOUT, f"not done within {seconds:g} s")


def too_long(most: int) -> Refused:
    """Return the error of a line of more than `most` bytes, from here or from the client."""
    return _of(Reason.TOO_LARGE, f"a line has at most {most} bytes")


def not_json() -> Refused:
    """Return the error of a client that sends invalid JSON."""
    return _of(Reason.INTERNAL, "the running client sent invalid JSON: restart it")


def too_old() -> Refused:
    """Return the error of a running client that does not support `ref`."""
    return _of(Reason.NOT_ALLOWED, "the running client is an older version: restart it")


def no_client(home: Path, error: Exception) -> Refused:
    """Return the error of a home in which no client can be reached."""
    why = getattr(error, "strerror", None) or error
    return _of(Reason.NOT_FOUND, f"no client runs in {home} ({why})")


def too_many(most: int) -> Refused:
    """Return the error of a request while `most` others are unfinished."""
    return _of(Reason.TOO_MANY, f"{most} requests are not over")


def not_started(why: str) -> Refused:
    """Return the error of a client whose home or port cannot be used."""
    return _of(Reason.HOME_TROUBLE, why)


def home_taken(why: str) -> Refused:
    """Return the error of a home that another client uses."""
    return _of(Reason.BUSY, why)


def wrong_option(why: str) -> Refused:
    """Return the error of a client with a wrong option."""
    return _of(Reason.MALFORMED, why)
