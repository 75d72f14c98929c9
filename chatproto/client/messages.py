"""Texts that the person says: in a conversation, in a room, or to a contact who is away.

A text that finds no room is held, and with it all further input.
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
"""Words that are meant as commands where nobody is there to hear them."""


ON_THE_WAY = (SessionState.CALLING, SessionState.ASKING, SessionState.OPEN, SessionState.BROKEN)
"""States of a conversation in which there will be room again, or an end."""
_MOST_NAMED = 40
"""Characters of an unknown name that a refusal repeats."""
_MOST_COMPARED = 1000
"""Names with which a mistyped one is compared."""
_LIKE = 0.6
"""Similarity from which a name is taken for the one that was meant: `aan` for `ann`."""


class Messages:
    """Send a text to a peer or a room, and show what was said there; each method raises LocalError."""

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
        self._held: tuple[Conversation, str, AskedPart | None] | None = None  # that finds no room
        context.settled.listen(self._go_on)
        calls.signals.carried.listen(lambda _: self._end_held())

    def say(self, text: str, to: str = "") -> None:
        """Send `text` to `to`, an id or `#room`; without it, where typed lines go."""
        if to.startswith("#") or (not to and self._conversations.room):
            self._rooms.say(text, to)
            return
        if to and self._is_stranger(to):
            # They are called for it; typed lines go where they went before.
            ActiveTarget(self._conversations).run(lambda: self._outgoing.chat(to))
        self._say_to_peer(text, to)

    def _say_to_peer(self, text: str, to: str) -> None:
        """Say `text` in the current conversation, or in the one with `to`, or leave it for `to`.

        A message that finds no room is held, and with it all further input, until there is some: a
        pipe may be faster than the peer reads.
        """
        target = self._conversations.target
        if target is not None and not to:
            conversation = target.receiver(self._conversations.with_recipient)
        else:
            conversation = self._conversations.whom(to)
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
                raise self._conversations.nobody(hint)
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
        """Say `text` in `conversation`, or leave it with that word. Raises QueueFull and others."""
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
        """Warn before a message that ends the chat with a program that reads a frame at once.

        Raises LocalError 413; the same text once more is said all the same.
        """
        dialect = conversation.session.dialect
        if not isinstance(dialect, Dialect) or not dialect.longest:
            return
        size = len(dialect.frame(self._context.place.me, text, b""))
        if size > dialect.longest and conversation.warned_of != text:
            conversation.warned_of = text
            raise LocalError(
                413,
                reasons.FRAME_TOO_LARGE(size=size, dialect=dialect.name, most=dialect.longest),
            )
        conversation.warned_of = ""

    def _makes_room(self, conversation: Conversation) -> bool:
        """Return True if there will be room in `conversation`, and it is known when."""
        return conversation.session.dialect.acknowledged and conversation.state in ON_THE_WAY

    def _go_on(self, _: None) -> None:
        """Say the message that is held, if there is room now; or queue it, if its conversation is over."""
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
        """End the request of the text that is held, if nothing can be sent now: it is kept."""
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
        """Report the message that is held, because the program ends."""
        held, self._held = self._held, None
        if held is not None:
            conversation, text, part = held
            with telling(part):
                self._context.publish(
                    Undelivered(conversation.name, Cause(Reason.STOPPING), text=text)
                )

    def msg(self, text: str, to: str = "", word: str = "") -> None:
        """Send `text` as `say` does, unless `to` was probably forgotten.

        `word`: the first of several words typed without `to`. In a room it may be a mistyped name, and
        everybody there would read what was meant for one. With `--plain` the command is a plain text
        of the assignment, whoever is named.
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
        """Say `text` as an action (/me); programs that know none show `* text`."""
        self.say(marked(text, ACTION), to)

    def history(self, most: str = "20", who: str = "") -> None:
        """Show the latest `most` messages with `who`, an id or `#room`, or where typed lines go."""
        if who.startswith("#") or (not who and self._conversations.room):
            self._in_room.history(int(most), who)
        else:
            self._outbox.history(int(most), who)

    def last(self, target: Target | None, most: int) -> tuple[MessageReceived, ...]:
        """Return the latest `most` messages with `target` that our own log has, the oldest first.

        Nothing is asked of a server, and nothing is published; an unreadable log has none.
        """
        key = target.log_key if target is not None else None
        return self._outbox.last(key, most) if key is not None else ()

    def list_waiting(self) -> None:
        """Show which messages are queued."""
        self._outbox.show_waiting(self._rooms.unwritten())

    def resend(self, peer: str) -> None:
        """Send `peer` the texts that were for a key that they had before."""
        self._outbox.resend(peer, lambda text: self._say_to_peer(text, peer))

    def switch(self, what: str) -> None:
        """Make another conversation or room the one that typed lines go to."""
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
        """Return what to type instead of `/msg word TEXT`, which names nobody who is known."""
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
        """Return True if `word` is, byte for byte, a pinned id, a conversation, a room that we are in,
        or a member of the current room."""
        current = self._conversations.room
        return (
            self._context.trust.has_pin_of(word)
            or self._conversations.named(word) is not None
            or self._rooms.has(word)
            or (bool(current) and self._rooms.is_member(current, word))
        )
