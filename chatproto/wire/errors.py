"""What can be wrong with a message: the remote's fault, or our own."""

from __future__ import annotations

REASONS: dict[int, str] = {
    400: "malformed",
    401: "register or log in first",
    403: "refused",
    404: "no such client",
    405: "method not allowed",
    408: "too slow",
    409: "id taken",
    413: "too large",
    429: "slow down",
    460: "hash differs",
    480: "known but away",
    486: "busy",
    487: "cancelled",
    500: "internal error",
    503: "unavailable",
    603: "declined",
}
"""Every status of the protocol with its words; SIP's code where SIP has one (RFC 3261, section 21)."""


class WireError(Exception):
    """Something about a message is against the protocol.

    `status` is one of `REASONS`; `detail` is for a log or a person, never for the wire.
    """

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        words = f"{self.status} {REASONS[self.status]}"
        return f"{words}: {self.detail}" if self.detail else words


class RemoteError(WireError):
    """The other side sent what the protocol does not allow; answer with `status`.

    `cseq` is the number of the request that it was, where there was one to be read (BCP/2).
    """

    cseq: int | None = None


class Later(RemoteError):
    """429: the other side may ask again after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(429, detail)
        self.retry_after = retry_after


class StoreTrouble(RemoteError):
    """What is kept cannot be kept or read just now; its text is one sentence for a person.

    Nobody's message is wrong: whoever asked for it is answered 503, and nothing has changed.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail)

    def __str__(self) -> str:
        return self.detail


class LocalError(WireError):
    """We were about to send what the protocol does not allow: our own mistake."""
