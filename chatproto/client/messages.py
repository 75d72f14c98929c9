"""Send texts of the user: in a conversation, to a room, or to an away contact.

A text that exceeds the queue is held, and all further input is paused.
"""

from __future__ import annotations

from difflib import get_close_matches

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.outgoing import OutgoingCalls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import MessageReceived, Undelivered
from chatproto.client.outbox import Outbox
from chatproto.client.requests import AskedPart, note_failure, take_part, telling
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.client.rooms.room_orders import RoomOrders
from chatproto.client.server.introducers import Introducer
from chatproto.client.targets import Target
from chatproto.identity.recipient import FirstContact
from chatproto.session.delivery import QueueFull
from chatproto.session.ledger import LedgerTrouble
from chatproto.session.state import SessionState
from chatproto.wire import reasons
from chatproto.wire.actions import ACTION, marked
from chatproto.wire.dialects import RAW, Dialect
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import ID
from chatproto.wire.reasons import Cause, Reason

MEANT = {
    **dict.fromkeys(("help", "?", "h", "man", "commands"), "/help"),
    **dict.fromkeys(("quit", "exit", "q", ":q", ":q!", "bye", "logout", "close", "end"), "/quit"),
    **dict.fromkeys(("who", "users", "list", "info"), "/info"),
}
"""Words that are probably meant as commands, if there is no peer to send them to."""


ON_THE_WAY = (SessionState.CALLING, SessionState.ASKING, SessionState.OPEN, SessionState.BROKEN)
"""States of a conversation in which its queue will shrink or be settled."""
_MOST_NAMED = 40
"""Most characters of an unknown name that an error repeats."""
_MOST_COMPARED = 1000
"""Most names with which a mistyped one is compared."""
_LIKE = 0.6
"""Least similarity at which a name is suggested for a mistyped one: `aan` for `ann`."""


class Messages:
    """Send a text to a peer or a room, and show past messages; each method raises LocalError."""

    def __init__(
        self,
        context: Context,
        server: Introducer | None,
        calls: Calls,
        outgoing: OutgoingCalls,
        talk: ConversationOrders,
        rooms: JoinedRooms,
        in_room: RoomOrders,
        outbox: Outbox,
    ) -> None:
        self._context = context
        self._server = server
        self._calls = calls
        self._conversations = calls.all
        self._outgoing = outgoing
        self._talk = talk
        self._rooms = rooms
        self._in_room = in_room
        self._outbox = outbox
        self._held: tuple[Conversation, str, AskedPart | None] | None = None  # over the limit
        context.settled.listen(self._resume_held)
        calls.signals.carried.listen(lambda _: self._end_held())

    def say(self, text: str, to: str = "") -> None:
        """Send `text` to `to`, an id or `#room`; without `to`, to the target."""
        if to.startswith("#") or (not to and self._conversations.room):
            self._rooms.say(text, to)
            return
        if to and self._is_stranger(to):
            # The call does not change the target of typed lines.
            ActiveTarget(self._conversations).run(lambda: self._outgoing.chat(to))
        self._say_to_peer(text, to)

    def _say_to_peer(self, text: str, to: str) -> None:
        """Send `text` in the current conversation or the one with `to`, or queue it for `to`.

        If the queue is full, the message is held and all further input is paused until there is room: a
        pipe may be faster than the peer reads.
        """
        target = self._conversations.target
        if target is not None and not to:
            conversation = target.receiver(self._conversations.with_recipient)
        else:
            conversation = self._conversations.conversation_for(to)
        if conversation is not None:
            try:
                self._say_in(conversation, text)
            except QueueFull:
                if self._held is not None or not self._makes_room(conversation):
                    raise
                self._held = conversation, text, take_part()
                self._end_held()
                self._context.hold_input(True)
            return
        if not to:
            meant = MEANT.get(text.strip().lower())
            hint = f"did you mean {meant}?" if meant else ""
            away = self._conversations.away
            if away is None:
                raise self._conversations.no_recipient(hint)
            if meant:
                raise LocalError(400, reasons.MEANT_COMMAND(peer=away.name, command=meant))
            if self._outbox.leave_for(away.recipient, text):
                return
            raise LocalError(404, reasons.AWAY_WITHOUT_LOG(peer=away.name))
        if self._outbox.leave_for(self._calls.names.resolve(to), text):
            return
        if self._conversations.called(to) is not None:
            raise LocalError(404, reasons.UNCONFIRMED_NAME(peer=to))
        raise LocalError(404, reasons.NOT_IN_CONVERSATION(peer=to))

    def _say_in(self, conversation: Conversation, text: str) -> None:
        """Send `text` in `conversation`; a farewell word leaves it. Raises QueueFull and others."""
        if conversation.session.delivery is None and self._calls.lasts(conversation):
            self._calls.attach(conversation)
        if len(text.encode()) > self._context.limits.message:
            raise LocalError(413, reasons.MESSAGE_TOO_LARGE(most=self._context.limits.message))
        session = conversation.session
        words = session.dialect.farewells
        if session.dialect is RAW:
            words = words | frozenset(self._context.settings.farewells)
        self._refuse_too_long(conversation, text)
        if text in words and conversation.state is SessionState.OPEN:
            conversation.apply(session.leave(text))
        else:
            conversation.say(text)

    def _refuse_too_long(self, conversation: Conversation, text: str) -> None:
        """Warn before a frame that is too long for the peer's program and would end the conversation.

        Raises LocalError 413; the same text is sent if it is typed once more.
        """
        dialect = conversation.session.dialect
        if not isinstance(dialect, Dialect) or not dialect.longest:
            return
        size = len(dialect.frame(self._context.own_addresses.me, text, b""))
        if size > dialect.longest and conversation.warned_of != text:
            conversation.warned_of = text
            raise LocalError(
                413,
                reasons.FRAME_TOO_LARGE(size=size, dialect=dialect.name, most=dialect.longest),
            )
        conversation.warned_of = ""

    def _makes_room(self, conversation: Conversation) -> bool:
        """Return True if the queue of `conversation` will shrink, with a notification."""
        return conversation.session.dialect.acknowledged and conversation.state in ON_THE_WAY

    def _resume_held(self, _: None) -> None:
        """Send the held message if there is room now, or queue it if its conversation has ended."""
        if self._held is None:
            return
        conversation, text, part = self._held
        other = self._conversations.with_recipient(conversation.recipient)
        if conversation.state is SessionState.CLOSED and other is not None:
            conversation = other
            self._held = other, text, part
        over = conversation.state is SessionState.CLOSED
        if not over and conversation.unsent >= self._context.limits.waiting_messages:
            return
        self._held = None
        with telling(part, ""):
            try:
                if not over:
                    self._say_in(conversation, text)
                elif not self._outbox.leave_for(conversation.recipient, text):
                    self._report(conversation, text, reasons.OVER_BEFORE())
            except (LocalError, LedgerTrouble) as error:
                self._report(conversation, text, Cause(error.reason, str(error)))
        self._context.hold_input(False)

    def _end_held(self) -> None:
        """End the request of the held text as queued, if nothing can be sent now."""
        if self._held is None:
            return
        conversation, _, part = self._held
        if part is not None and not conversation.session.may_speak:
            part.end("queued")

    def _report(self, conversation: Conversation, text: str, reason: Cause) -> None:
        """Report that the held `text` will not arrive."""
        note_failure(reason.reason, None, reason)
        self._context.publish(Undelivered(conversation.name, reason, text=text))

    def stop(self) -> None:
        """Report the held message as undelivered, because the program ends."""
        held, self._held = self._held, None
        if held is not None:
            conversation, text, part = held
            with telling(part):
                self._context.publish(
                    Undelivered(conversation.name, Cause(Reason.STOPPING), text=text)
                )

    def msg(self, text: str, to: str = "", word: str = "") -> None:
        """Send `text` as `say` does, unless `to` was probably forgotten.

        `word`: the first of several words typed without `to`. In a room it may be a mistyped name, and all
        members would read a private text. With `--plain` all words are text, as the assignment wants.
        """
        if word and not self._context.settings.plain:
            here = self._conversations.target_name
            if self._is_name(word):
                without = f", without /msg the line goes to {here}" if here else ""
                raise LocalError(400, reasons.FORGOT_AT(peer=word, otherwise=without))
            if self._conversations.room:
                hint, word = self._meant_by(word), word[:_MOST_NAMED]
                raise LocalError(400, reasons.MSG_IN_ROOM(word=word, hint=hint, room=here))
        self.say(text, to)

    def me(self, text: str, to: str = "") -> None:
        """Send `text` as an action (/me); programs without actions show `* text`."""
        self.say(marked(text, ACTION), to)

    def history(self, most: str = "20", who: str = "") -> None:
        """Show the latest `most` messages with `who`, an id or `#room`; without it, with the target."""
        if who.startswith("#") or (not who and self._conversations.room):
            self._in_room.history(int(most), who)
        else:
            self._outbox.history(int(most), who)

    def last(self, target: Target | None, most: int) -> tuple[MessageReceived, ...]:
        """Return the latest `most` messages with `target` in our own log, the oldest first.

        No server is asked and no event is published; an unreadable log has none.
        """
        key = target.log_key if target is not None else None
        return self._outbox.last(key, most) if key is not None else ()

    def list_waiting(self) -> None:
        """Show the queued messages."""
        self._outbox.show_waiting(self._rooms.unwritten())

    def resend(self, peer: str) -> None:
        """Send `peer` the texts that were queued for its previous key."""
        self._outbox.resend(peer, lambda text: self._say_to_peer(text, peer))

    def switch(self, what: str) -> None:
        """Make another conversation or room the target of typed lines."""
        (self._rooms if what.startswith("#") else self._talk).switch(what)

    def _is_stranger(self, name: str) -> bool:
        """Return True if `name` is unknown here and can be reached through the server."""
        context = self._context
        if not context.trust.own_key or self._server is None or context.settings.plain:
            return False
        match self._conversations.names.resolve(name):
            case FirstContact() as recipient:
                return self._conversations.with_recipient(recipient) is None
        return False

    def _meant_by(self, word: str) -> str:
        """Return a suggestion for `/msg word TEXT`, whose `word` is no known name."""
        known = (
            *self._rooms.members(self._conversations.room),
            *(one.name for one in self._conversations),
            *self._context.trust.file.pins.names(),
        )
        by_small = {name.lower(): name for name in reversed(known[:_MOST_COMPARED])}
        near = get_close_matches(word.lower(), by_small, 1, _LIKE)
        if near:
            return f"did you mean /msg @{by_small[near[0]]} TEXT?"
        one = word if ID.fullmatch(word) else "ID"
        return f"/msg @{one} TEXT writes to {one} alone"

    def _is_name(self, word: str) -> bool:
        """Return True if `word` is exactly a pinned id, a conversation, a joined room, or a member of the
        current room."""
        current = self._conversations.room
        return (
            self._context.trust.has_pin_of(word)
            or self._conversations.named(word) is not None
            or self._rooms.has(word)
            or (bool(current) and self._rooms.is_member(current, word))
        )
