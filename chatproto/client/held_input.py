"""A message that finds no room: it waits, and with it all further input, until there is some."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.conversations import Conversations
from chatproto.client.events import Undelivered
from chatproto.identity.recipient import Recipient
from chatproto.session.ledger import LedgerTrouble
from chatproto.session.state import SessionState
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import Cause, Reason

ON_THE_WAY = (SessionState.CALLING, SessionState.ASKING, SessionState.OPEN, SessionState.BROKEN)
"""States of a conversation in which there will be room again, or an end."""


class HeldInput:
    """Says what is typed, or holds it: a pipe may be faster than the other side reads."""

    def __init__(
        self,
        context: Context,
        conversations: Conversations,
        talk: ConversationOrders,
        leave_for: Callable[[Recipient, str], bool],
    ) -> None:
        self._context = context
        self._conversations = conversations
        self._talk = talk
        self._leave_for = leave_for
        self._held: tuple[Conversation, str] | None = None

    def say(self, text: str, to: str = "") -> None:
        """Say `text`, now or as soon as it finds room. Raises LocalError."""
        conversation = self._conversations.whom(to)
        if conversation is None or not self._is_full(conversation) or self._held is not None:
            self._talk.say(text, to)
            return
        self._held = conversation, text
        self._context.hold_input(True)

    def go_on(self) -> None:
        """Something was finished: perhaps there is room now."""
        if self._held is None:
            return
        conversation, text = self._held
        other = self._conversations.with_recipient(conversation.recipient)
        if conversation.state is SessionState.CLOSED and other is not None:
            conversation = other
            self._held = other, text
        if conversation.state is SessionState.CLOSED:
            self._held = None
            self._leave(conversation, text)
        elif conversation.unsent < self._context.limits.waiting_messages:
            self._held = None
            self._talk.say_in(conversation, text)
        else:
            return
        self._context.hold_input(False)

    def _leave(self, conversation: Conversation, text: str) -> None:
        """The conversation is over: it waits with the others, if there is room for it."""
        reason = Cause(Reason.PEER_LEFT, "the conversation is over")
        try:
            if self._leave_for(conversation.recipient, text):
                return
        except (LocalError, LedgerTrouble) as error:
            reason = Cause(error.reason, str(error))
        self._context.publish(Undelivered(conversation.name, reason, text=text))

    def stop(self) -> None:
        """The program ends."""
        held, self._held = self._held, None
        if held is not None:
            conversation, text = held
            self._context.publish(Undelivered(conversation.name, Cause(Reason.STOPPING), text=text))

    def _is_full(self, conversation: Conversation) -> bool:
        """Return True if too many messages are queued; only numbered ones are known to make room later."""
        acknowledged = conversation.session.dialect.acknowledged
        full = conversation.unsent >= self._context.limits.waiting_messages
        return acknowledged and full and conversation.state in ON_THE_WAY
