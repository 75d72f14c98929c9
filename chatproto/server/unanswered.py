"""Count unanswered requests by connection, and pause a connection that must wait for answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatproto.directory.registrations import ClientConnection

if TYPE_CHECKING:
    from chatproto.server.secure import SecureConnection

MOST = 64
"""Requests that one connection may have asked without having been answered; then it is read no further."""


class Unanswered:
    """Counts by connection what is not answered yet; `in` tells of whom there is anything."""

    def __init__(self) -> None:
        self._asked: dict[ClientConnection, int] = {}
        self._held: dict[ClientConnection, SecureConnection] = {}

    def __contains__(self, visitor: ClientConnection) -> bool:
        return visitor in self._asked

    def asked(self, visitor: ClientConnection) -> None:
        """`visitor` has asked one thing more."""
        self._asked[visitor] = self._asked.get(visitor, 0) + 1

    def answered(self, visitor: ClientConnection) -> None:
        """One thing less; at the last a connection that was held goes on."""
        asked = self._asked.pop(visitor, 0)
        if asked > 1:
            self._asked[visitor] = asked - 1
        elif asked and visitor in self._held:
            self._held.pop(visitor).go_on()

    def holds(
        self, visitor: ClientConnection, connection: SecureConnection, most: int = MOST
    ) -> bool:
        """Return True if `most` requests of `visitor` are not answered; then `go_on` is called later."""
        if self._asked.get(visitor, 0) < most:
            return False
        self._held[visitor] = connection
        return True

    def forget(self, visitor: ClientConnection) -> None:
        """Forget a connection that has ended."""
        self._held.pop(visitor, None)
        self._asked.pop(visitor, None)
