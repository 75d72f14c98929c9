"""Texts that the person says: in a conversation, in a room, or to a contact who is away."""

from __future__ import annotations

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.outgoing import OutgoingCalls
from chatproto.client.context import Context
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import MessageReceived
from chatproto.client.outbox import Outbox
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.client.rooms.room_orders import RoomOrders
from chatproto.client.server.introducers import Introducer
from chatproto.client.targets import Target
from chatproto.client.trust_store import TrustStore
from chatproto.identity.recipient import FirstContact
from chatproto.wire import reasons
from chatproto.wire.actions import ACTION, marked
from chatproto.wire.errors import LocalError


class Messages:
    """Send a text to a peer or a room, and show what was said there; each method raises LocalError."""

    def __init__(
        self,
        context: Context,
        trust: TrustStore | None,
        server: Introducer | None,
        calls: Calls,
        outgoing: OutgoingCalls,
        talk: ConversationOrders,
        rooms: JoinedRooms,
        in_room: RoomOrders,
        outbox: Outbox,
    ) -> None:
        self._settings = context.settings
        self._trust = trust
        self._server = server
        self._conversations = calls.all
        self._outgoing = outgoing
        self._talk = talk
        self._rooms = rooms
        self._in_room = in_room
        self._outbox = outbox

    def say(self, text: str, to: str = "") -> None:
        """Send `text` to `to`, an id or `#room`; without it, where typed lines go."""
        if to.startswith("#") or (not to and self._conversations.room):
            self._rooms.say(text, to)
            return
        if to and self._rooms.rows() and self._is_stranger(to):
            # A member of a room is called for it; typed lines go where they went before.
            ActiveTarget(self._conversations).run(lambda: self._outgoing.chat(to))
        self._talk.say(text, to)

    def msg(self, text: str, to: str = "", word: str = "") -> None:
        """Send `text` as `say` does, unless `to` was probably forgotten.

        `word`: the first of several words typed without `to`. With `--plain` the command is a plain
        text of the assignment, whoever is named.
        """
        if word and not self._settings.plain and self._is_name(word):
            here = self._conversations.target_name
            without = f", without /msg the line goes to {here}" if here else ""
            raise LocalError(
                400,
                reasons.FORGOT_AT(peer=word, otherwise=without),
            )
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
        self._outbox.resend(peer, lambda text: self._talk.say(text, peer))

    def switch(self, what: str) -> None:
        """Make another conversation or room the one that typed lines go to."""
        (self._rooms if what.startswith("#") else self._talk).switch(what)

    def _is_stranger(self, name: str) -> bool:
        """Return True if `name` is unknown here and can be reached through the server."""
        if self._trust is None or self._server is None or self._settings.plain:
            return False
        recipient = self._conversations.names.resolve(name)
        known = self._conversations.with_recipient(recipient)
        return isinstance(recipient, FirstContact) and known is None

    def _is_name(self, word: str) -> bool:
        """Return True if `word` is, byte for byte, a pinned id, a conversation, a room that we are in,
        or a member of the current room."""
        current = self._conversations.room
        return (
            (self._trust is not None and self._trust.has_pin_of(word))
            or self._conversations.named(word) is not None
            or self._rooms.has(word)
            or (bool(current) and self._rooms.is_member(current, word))
        )
