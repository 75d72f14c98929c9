"""Define the statuses of the protocol with their words, as in `Status:` (PROTOCOL.md section 2).

Other programs read these words, so they never change. Users read the sentences of `wire/reasons.py`.
"""

from __future__ import annotations

STATUS_WORDS: dict[int, str] = {
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


def status_line(status: int) -> str:
    """Return a status with its words, `404 no such client`; an unknown one is `error`."""
    return f"{status} {STATUS_WORDS.get(status, 'error')}"
