"""Messages that each have a connection of their own, as the dialects that dial back want it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, DeferredLock

from chatproto.client.dialer import PeerUnreachable
from chatproto.session.plain_connection import PlainPeerConnection


class LoneMessages:
    """Goes to one person, one after another, so that they arrive in the order in which they were said.

    `dial` makes a connection, or raises Unreachable; `unsaid` is told the text for which there was none,
    and why.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[PlainPeerConnection]],
        unsaid: Callable[[str, str], None],
    ) -> None:
        self._dial = dial
        self._unsaid = unsaid
        self._turn = DeferredLock()
        self._waiting = 0

    def __len__(self) -> int:
        """Return the number of messages without a connection."""
        return self._waiting

    def write(self, frame: bytes, text: str | None) -> None:
        """Send `frame`, which carries `text`, or is a farewell (None)."""
        self._waiting += 1
        self._turn.run(lambda: Deferred.fromCoroutine(self._carry(frame, text)))

    async def _carry(self, frame: bytes, text: str | None) -> None:
        try:
            link = await self._dial()
        except PeerUnreachable as error:
            self._waiting -= 1
            if text is not None:
                self._unsaid(text, str(error))
            return
        self._waiting -= 1
        link.write_last(frame, text)
