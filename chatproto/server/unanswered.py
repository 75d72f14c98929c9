"""Count unanswered requests by connection, and pause a connection that must wait for answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatproto.directory.registrations import ClientConnection

if TYPE_CHECKING:
    from chatproto.server.secure import SecureConnection

MOST = 64
"""Unanswered requests of one connection above which reading from it pauses."""


class Unanswered:
    """Number of unanswered requests by client; `client in unanswered` is true if there are any."""

    def __init__(self) -> None:
        self._asked: dict[ClientConnection, int] = {}
        self._held: dict[ClientConnection, SecureConnection] = {}

    def __contains__(self, client: ClientConnection) -> bool:
        return client in self._asked

    def add(self, client: ClientConnection) -> None:
        """Count one more request of `client`."""
        self._asked[client] = self._asked.get(client, 0) + 1

    def answered(self, client: ClientConnection) -> None:
        """Count one request less; resume a paused connection at the last one."""
        asked = self._asked.pop(client, 0)
        if asked > 1:
            self._asked[client] = asked - 1
        elif asked and client in self._held:
            self._held.pop(client).resume()

    def holds(
        self, client: ClientConnection, connection: SecureConnection, most: int = MOST
    ) -> bool:
        """Return True if `client` has `most` unanswered requests; `connection.resume` is called later."""
        if self._asked.get(client, 0) < most:
            return False
        self._held[client] = connection
        return True

    def forget(self, client: ClientConnection) -> None:
        """Remove the counts of a connection that has ended."""
        self._held.pop(client, None)
        self._asked.pop(client, None)
