"""Keep what is said while no IRC client is there, for the next one."""

from __future__ import annotations

from collections import deque

from chatproto.client.events import MessageReceived, Sent

MOST = 1000
"""Messages; the oldest goes first."""
CHARACTERS = 1024 * 1024
"""Characters of all of them, or one message of any length."""


class MissedMessages:
    """Latest messages since `take`, at most `MOST` and `CHARACTERS`."""

    def __init__(self) -> None:
        self._kept: deque[MessageReceived | Sent] = deque()
        self._size = 0

    def add(self, event: MessageReceived | Sent) -> None:
        """Keep `event`."""
        self._kept.append(event)
        self._size += len(event.text)
        while len(self._kept) > MOST or (self._size > CHARACTERS and len(self._kept) > 1):
            self._size -= len(self._kept.popleft().text)

    def take(self) -> tuple[MessageReceived | Sent, ...]:
        """Return what is kept, the oldest first, and keep none of it."""
        kept = tuple(self._kept)
        self._kept.clear()
        self._size = 0
        return kept
