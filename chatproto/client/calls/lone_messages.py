"""Send messages that each have a connection of their own, as the dialects that dial back want it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from chatproto.client.calls.dialer import PeerUnreachable
from chatproto.client.context import Signal
from chatproto.client.conversation import Conversation, LoneFrame
from chatproto.session.plain_connection import PlainPeerConnection

Dial = Callable[[Conversation], Awaitable[PlainPeerConnection]]


class LoneMessages:
    """Send the frames of a conversation one after another, so that they arrive in their order.

    Args: frames: what is to be sent. dial: makes a connection to the peer, or raises PeerUnreachable.
    """

    def __init__(self, frames: Signal[LoneFrame], dial: Dial) -> None:
        self._dial = dial
        frames.listen(self._queue)

    def _queue(self, frame: LoneFrame) -> None:
        frame.conversation.alone.run(lambda: Deferred.fromCoroutine(self._send(frame)))

    async def _send(self, frame: LoneFrame) -> None:
        conversation = frame.conversation
        try:
            link = await self._dial(conversation)
        except PeerUnreachable as error:
            conversation.lone_frames -= 1
            if frame.text is not None:
                conversation.news.unsaid(frame.text, str(error))
        else:
            conversation.lone_frames -= 1
            link.write_last(frame.data, frame.text)
