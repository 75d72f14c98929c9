"""Carry out the user's commands about conversations: messages, calls, answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chatproto.client.asked import AskedPart, note_failure, take_part, telling
from chatproto.client.calls.calls import Calls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import Undelivered
from chatproto.client.files import Files
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.trust_store import TrustStore
from chatproto.identity.recipient import Recipient
from chatproto.session.ledger import LedgerTrouble
from chatproto.session.state import SessionState
from chatproto.wire import reasons
from chatproto.wire.dialects import RAW, Dialect
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import Cause, Reason

MEANT = {
    **dict.fromkeys(("help", "?", "h", "man", "commands"), "/help"),
    **dict.fromkeys(("quit", "exit", "q", ":q", ":q!", "bye", "logout", "close", "end"), "/quit"),
    **dict.fromkeys(("who", "users", "list", "info"), "/info"),
}
"""Words that are meant as commands where nobody is there to hear them."""


ON_THE_WAY = (SessionState.CALLING, SessionState.ASKING, SessionState.OPEN, SessionState.BROKEN)
"""States of a conversation in which there will be room again, or an end."""


class ConversationOrders:
    """Act on the current conversation or a named one; each method raises LocalError with one
    sentence.
    """

    def __init__(
        self,
        context: Context,
        trust: TrustStore | None,
        place: OwnAddresses,
        calls: Calls,
        files: Files | None,
        leave_for: Callable[[Recipient, str], bool],
    ) -> None:
        self._context = context
        self._trust = trust
        self._place = place
        self._calls = calls
        self._files = files
        self._leave_for = leave_for
        self._held: tuple[Conversation, str, AskedPart | None] | None = None  # that finds no room

    def say(self, text: str, to: str = "") -> None:
        """Say `text` in the current conversation, or in the one with `to`, or leave it for `to`.

        A message that finds no room is held, and with it all further input, until there is some: a
        pipe may be faster than the peer reads.
        """
        conversation = self._calls.all.whom(to)
        if conversation is not None:
            if self._held is None and self._is_full(conversation):
                self._held = conversation, text, take_part()
                self._context.hold_input(True)
            else:
                self._say_in(conversation, text)
            return
        if not to:
            meant = MEANT.get(text.strip().lower())
            hint = f"did you mean {meant}?" if meant else reasons.CALL_HINT
            away = self._calls.all.away
            if away is None:
                raise self._calls.all.nobody(hint)
            if meant:
                raise LocalError(400, reasons.MEANT_COMMAND(peer=away.name, command=meant))
            if self._leave_for(away.recipient, text):
                return
            raise LocalError(404, reasons.AWAY_WITHOUT_LOG(peer=away.name))
        if self._leave_for(self._calls.names.resolve(to), text):
            return
        if self._calls.all.called(to) is not None:
            raise LocalError(404, reasons.UNCONFIRMED_NAME(peer=to))
        raise LocalError(404, reasons.NOT_IN_CONVERSATION(peer=to))

    def _say_in(self, conversation: Conversation, text: str) -> None:
        if conversation.session.post is None and self._calls.lasts(conversation):
            self._calls.attach(conversation)
        if len(text.encode()) > self._context.limits.message:
            raise LocalError(413, reasons.MESSAGE_TOO_LARGE(most=self._context.limits.message))
        session = conversation.session
        words = session.dialect.farewells
        if session.dialect is RAW:
            words = words | frozenset(self._context.settings.farewells)
        self._refuse_too_long(conversation, text)
        if text in words and conversation.state is SessionState.OPEN:
            conversation.perform(session.leave(text))
        elif conversation.unsent >= self._context.limits.waiting_messages:
            raise LocalError(
                429, reasons.QUEUE_FULL(count=conversation.unsent), Reason.RATE_LIMITED
            )
        else:
            conversation.say(text)

    def _refuse_too_long(self, conversation: Conversation, text: str) -> None:
        """Warn before a message that ends the chat with a program that reads a frame at once.

        Raises LocalError 413; the same text once more is said all the same.
        """
        dialect = conversation.session.dialect
        if not isinstance(dialect, Dialect) or not dialect.longest:
            return
        size = len(dialect.frame(self._place.me, text, b""))
        if size > dialect.longest and conversation.warned_of != text:
            conversation.warned_of = text
            raise LocalError(
                413,
                reasons.FRAME_TOO_LARGE(size=size, dialect=dialect.name, most=dialect.longest),
            )
        conversation.warned_of = ""

    def go_on(self) -> None:
        """Say the message that is held, if there is room now or its conversation is over."""
        if self._held is None:
            return
        conversation, text, part = self._held
        other = self._calls.all.with_recipient(conversation.recipient)
        if conversation.state is SessionState.CLOSED and other is not None:
            conversation = other
            self._held = other, text, part
        if conversation.state is SessionState.CLOSED:
            self._held = None
            with telling(part):
                self._leave_held(conversation, text)
        elif conversation.unsent < self._context.limits.waiting_messages:
            self._held = None
            with telling(part):
                self._say_in(conversation, text)
        else:
            return
        if part is not None:
            part.end()
        self._context.hold_input(False)

    def _leave_held(self, conversation: Conversation, text: str) -> None:
        """Queue `text`, whose conversation is over, if there is room for it; or report it."""
        reason = reasons.OVER_BEFORE()
        try:
            if self._leave_for(conversation.recipient, text):
                return
        except (LocalError, LedgerTrouble) as error:
            reason = Cause(error.reason, str(error))
        note_failure(reason.reason, None, reason)
        self._context.publish(Undelivered(conversation.name, reason, text=text))

    def stop(self) -> None:
        """Report the message that is held, because the program ends."""
        held, self._held = self._held, None
        if held is not None:
            conversation, text, part = held
            with telling(part):
                self._context.publish(
                    Undelivered(conversation.name, Cause(Reason.STOPPING), text=text)
                )

    def _is_full(self, conversation: Conversation) -> bool:
        """Return True if too many messages are queued; only acknowledged ones are known to make room."""
        acknowledged = conversation.session.dialect.acknowledged
        full = conversation.unsent >= self._context.limits.waiting_messages
        return acknowledged and full and conversation.state in ON_THE_WAY

    def accept(self, what: str) -> None:
        """Take a call that rings; the conversation becomes the current one."""
        conversation = self._calls.all.ringing(what)
        self._calls.all.move_to(conversation)
        self._calls.take(conversation)

    def decline(self, what: str) -> None:
        """Refuse a call that rings."""
        conversation = self._calls.all.ringing(what)
        conversation.perform(conversation.session.decline())

    def switch(self, what: str) -> None:
        """Make the conversation with `what` the current one; for a contact who is away, queue."""
        conversation = self._calls.all.known(what)
        if conversation is None:
            self._calls.queue_for(self.key_of(what))
        elif not self._calls.all.move_to(conversation):
            conversation.show(current=True)

    def key_of(self, what: str) -> str:
        """The pinned key of the contact `what`. Raises LocalError if there is none."""
        key, known = self._calls.names.resolve(what).key, self._trust
        if key is not None and known is not None and known.knows(key):
            return key
        raise LocalError(404, reasons.CANNOT_SWITCH(peer=what))

    def set_half(self, half: bool) -> None:
        """Take turns in the current conversation, or no more."""
        conversation = self._calls.all.need_current()
        effects = conversation.session.set_half(half, self._context.now())
        conversation.show(mode="half" if half else "full")
        conversation.perform(effects)

    def over(self) -> None:
        """Pass the turn."""
        conversation = self._calls.all.need_current()
        conversation.perform(conversation.session.over(self._context.now()))

    def quit_current(self) -> bool:
        """Leave the current conversation. False if there is none."""
        conversation = self._calls.all.current
        if conversation is None:
            return False
        conversation.perform(conversation.session.leave())
        return True

    def leave(self, to: str) -> None:
        """Leave the conversation with `to`. Raises LocalError if there is none."""
        conversation = self._calls.all.known(to)
        if conversation is None:
            raise LocalError(404, reasons.CANNOT_SWITCH(peer=to))
        conversation.perform(conversation.session.leave())

    def send(self, paths: list[str], to: str = "") -> None:
        """Send files to `to`, or to the one of the current conversation."""
        files = self._files
        conversation = self._calls.all.whom(to) if to else self._calls.all.need_current()
        if conversation is None:
            raise LocalError(404, reasons.NOT_IN_CONVERSATION(peer=to))
        if conversation.session.dialect.numbered and conversation.key is None:
            raise LocalError(404, reasons.NO_FILES_YET(peer=conversation.name))
        if conversation.key is None or files is None:
            how = conversation.session.dialect.name
            raise LocalError(405, reasons.NO_FILES_IN_DIALECT(peer=conversation.name, dialect=how))
        person = files.of(conversation.key, conversation.name)
        person.offer([Path(path) for path in paths])
