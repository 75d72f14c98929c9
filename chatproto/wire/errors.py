"""Errors about messages: the other side's fault, or our own."""

from __future__ import annotations

from typing import Self

from chatproto.wire.reasons import CodedError, Reason, reason_of
from chatproto.wire.statuses import status_line


class WireError(CodedError):
    """A message violates the protocol, or cannot be handled.

    Args: status: a status of the protocol. detail: for a log or a user, never for the wire. reason: its
    code, if that says more than the status.
    """

    status: int

    def __init__(self, status: int, detail: str = "", reason: Reason | None = None) -> None:
        super().__init__(detail, reason or reason_of(detail, Reason.of(status)))
        self.status = status
        self.detail = detail

    def as_value(self) -> Self:
        """Return this error without its traceback, to be stored.

        A traceback refers to the frames of all callers and their variables, among them the list that
        holds the error: a reference cycle, which costs much more memory and time than the error.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self

    def __str__(self) -> str:
        words = status_line(self.status)
        return f"{words}: {self.detail}" if self.detail else words


class RemoteError(WireError):
    """The other side sent something that the protocol does not allow; answer with `status`.

    `cseq` is the number of the request, if it could be read (BCP/2). `why` distinguishes causes of one
    status, for programs.
    """

    cseq: int | None = None
    why: str = ""


class Later(RemoteError):
    """429: the client may repeat the request after `retry_after` seconds."""

    retry_after: int

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(429, detail)
        self.retry_after = retry_after


class NotAdmitted(RemoteError):
    """403: a room does not admit the client; `why` is `banned`, `invitation` or `key`."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(403, detail)
        self.why = why


class StoreTrouble(RemoteError):
    """The store cannot be written or read at present; the text is one sentence for the user.

    The client gets 503 for its request, and nothing has changed.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail)

    def __str__(self) -> str:
        return self.detail


class Unreadable(StoreTrouble):
    """One entry of the store is invalid, or of a newer version; the others can be read."""


class LocalError(WireError):
    """Our own side requested something that the protocol or the present state does not allow."""


class CannotStart(Exception):
    """The program cannot start; its text is one sentence for the user."""
