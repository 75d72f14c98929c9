"""Begin conversations with peers, update their names and pins, and forget them."""

from __future__ import annotations

from chatproto.client.context import Context, Signal
from chatproto.client.conversation import Conversation, ConversationSignals
from chatproto.client.conversations import Conversations
from chatproto.client.events import Failed, Notice
from chatproto.client.files import Files
from chatproto.client.name_resolver import NameResolver
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.requests import Requests
from chatproto.client.server.server_news import ServerEvents
from chatproto.client.strangers import Strangers
from chatproto.client.targets import AwayContact
from chatproto.identity.pins import PinTrouble
from chatproto.identity.recipient import FirstContact, KeyedPerson, Recipient
from chatproto.session.effects import Effect
from chatproto.session.ledger import LedgerTrouble
from chatproto.session.session import PeerSession
from chatproto.session.state import SessionState
from chatproto.wire.dialects import Capabilities
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import Reason, reason_of

REFUSED = frozenset({Reason.DECLINED, Reason.REFUSED})
"""Reasons of failed calls after which nothing more is queued for the contact."""


class Calls:
    """Begin and end the conversations of one client, in plain text and inside TLS."""

    def __init__(
        self,
        context: Context,
        conversations: Conversations,
        strangers: Strangers,
        requests: Requests,
        resolver: NameResolver,
        events: ServerEvents,
        streams: OutboundStreams | None,
        files: Files | None,
    ) -> None:
        self.signals = ConversationSignals()
        self.over: Signal[Conversation] = Signal()
        """Fires when a conversation with a delivery is closed and its last connection has ended."""
        self.talked: Signal[Conversation] = Signal()
        """Fires when a plain-text conversation ends in which both ends sent messages."""
        self.left: Signal[None] = Signal()
        """Fires when the peer leaves a plain-text conversation that has no queued messages."""
        self.ended: Signal[Conversation] = Signal()
        """Fires when a conversation has ended; some of its connections may still be open."""
        self.back: Signal[Conversation] = Signal()
        """Fires when the peer of a broken conversation is online again."""
        self.all = conversations
        self.names = conversations.names
        self.strangers = strangers
        self.ignored: set[str] = set()  # ids of peers in plain text, for this run
        self.leaving = False
        self._context = context
        self._requests = requests
        self._resolver = resolver
        self.away_text = resolver.away_text
        self._streams = streams
        self._files = files
        self.signals.carried.listen(self._carried)
        self.signals.carried.listen(self._follow)
        self.signals.keyed.listen(self._pin)
        self.signals.keyed.listen(self._follow)  # peers that were pinned only now
        self.signals.ended.listen(lambda ended: self._ended(*ended))
        conversations.moved.listen(lambda target: target.show_current(context.publish))
        if files is not None:
            conversations.renamed.listen(lambda one: files.rename(one.key, one.name))
        events.contact_online.listen(self._contact_online)

    # For other parts of the client.

    def has_conversation_with(self, key: str) -> bool:
        """Return True if there is a conversation with the owner of `key`."""
        return any(one.key == key for one in self.all)

    def ring(self, conversation: Conversation, effects: list[Effect], at_once: bool) -> None:
        """Apply the `effects` of the peer's call, or answer it if `at_once`; that may make it the target."""
        if not at_once:
            conversation.apply(effects)
            return
        if self.all.vacant:
            self.all.move_to(conversation)
        self.take(conversation)

    def take(self, conversation: Conversation) -> None:
        """Answer the call of `conversation`."""
        if self.attach(conversation):
            conversation.apply(conversation.session.accept())
            self.names_changed()  # the user may have verified the caller meanwhile

    def _pin(self, conversation: Conversation) -> None:
        """Pin the key of `conversation` to the id `conversation.pins`."""
        client_id, key = conversation.pins, conversation.key
        if client_id is None or key is None:
            return
        try:
            self._context.trust.pin(client_id, key, conversation.chosen)
        except PinTrouble as error:
            self._context.publish(Failed(str(error), code=error.reason))
        self.names_changed()

    def ignores(self, client_id: str, key: str | None = None) -> bool:
        """Return True if calls from `key` under `client_id` are ignored."""
        if key is None and client_id in self.ignored:
            return True
        return self._context.trust.ignores(client_id, key)

    # Names.

    def name_of(self, key: str, wanted: str = "") -> str:
        """Return the name shown for `key`: that of its conversation, else of its pin."""
        recipient = KeyedPerson(key)
        known = self.all.with_recipient(recipient)
        if known is not None:
            return known.name
        return self.names.name_for(
            recipient, wanted or key, lambda name: self.all.named(name) is not None
        )

    def names_changed(self) -> None:
        """Rename each conversation whose name means another recipient, after pins have changed.

        An unconfirmed peer that is pinned now loses the `?` mark, once the conversation is open.
        """
        for one in self.all:
            live = one.state in (SessionState.OPEN, SessionState.BROKEN)
            before, unsure = one.name, live and one.name.endswith("?") and self.lasts(one)
            if self._means(before, one.recipient) and not unsure:
                continue
            self.all.rename(one, one.called.rstrip("?") if unsure else one.called, named=one.named)
            if one.name != before and not one.quiet:
                why = "" if unsure else ", the name belongs to another contact"
                self._context.publish(Notice(f"{before} is now called {one.name}{why}"))
                if live:
                    one.was = before
                    one.show(host=None, port=None)

    def _means(self, name: str, recipient: Recipient) -> bool:
        try:
            return self.names.resolve(name) == recipient
        except LocalError:
            return False

    def counters(self) -> dict[str, int]:
        """Return the counts of strangers' connections, ringing calls and refusals."""
        ringing = self.all.count_ringing(known=False)
        return {**self.strangers.counters(), "ringing": ringing}

    def begin(
        self, name: str, capabilities: Capabilities, recipient: Recipient | None = None
    ) -> Conversation:
        """Begin a conversation with `recipient`; without one its peer is an `OpenPeer` of its own.

        It is called `name`; if that means another recipient, `NameBook.name_for` picks the name.
        """
        context = self._context
        session = PeerSession(
            capabilities, half=context.settings.half_duplex, limits=context.limits
        )
        conversation = self.all.begin(
            lambda number: Conversation(
                context,
                self.signals,
                self.all.is_current,
                session,
                name,
                number,
            )
        )
        if recipient is not None:
            conversation.recipient = recipient
            conversation.client_id = self._client_id_of(recipient)
        if name:
            self.all.rename(conversation, name, named=False)
        return conversation

    def _client_id_of(self, recipient: Recipient) -> str:
        """Return the id of `recipient` at the server, if it is known."""
        match recipient:
            case FirstContact(_, client_id):
                return client_id
            case KeyedPerson(key):
                return next(iter(self._context.trust.ids_of(key)), "")
        return ""

    def attach(self, conversation: Conversation) -> bool:
        """Log the messages of `conversation` from now on, if its key is known.

        Returns: False if the log cannot be used; then the conversation has ended with a message to the user.
        """
        session, streams, key = conversation.session, self._streams, conversation.key
        if key is not None and session.dialect.numbered and session.delivery is None:
            assert streams is not None
            try:
                conversation.attach(streams.of(key, conversation.name))
            except LedgerTrouble as error:
                conversation.store_failed(error)
                return False
        return True

    def _contact_online(self, name: str) -> None:
        """Redial or ask again, because a peer is back online."""
        for one in self.all:
            if one.id == name and one.state is SessionState.BROKEN:
                self.back(one)
            elif one.id == name and one.state is SessionState.CALLING and one.ask_again is not None:
                one.ask_again()

    async def whereabouts(self, client_id: str, key: str | None) -> Contact | None:
        """Ask the server for the peer's address; None if it does not know."""
        return await self._requests.then(lambda: self._resolver.whereabouts(client_id, key))

    def _ended(self, conversation: Conversation, reason: str) -> None:
        """Forget a closed conversation. The next typed line may be queued for its contact."""
        was_current = conversation is self.all.current
        plain = not conversation.session.dialect.numbered
        if plain and conversation.heard_any and conversation.said_any:
            self.talked(conversation)

        own = reason_of(reason) is Reason.YOU_LEFT
        self.all.end(conversation, own)
        if was_current and not own and not self.leaving and self._may_queue(conversation, reason):
            assert conversation.key is not None
            self.queue_for(conversation.key)
            was_current = False
        if was_current and len(self.all) and not self.leaving:
            names = ", ".join(one.name for one in self.all)
            self._context.publish(Notice(f"other conversations: {names} (/switch)"))
        self.ended(conversation)
        self._context.settled(None)

    def _may_queue(self, conversation: Conversation, reason: str) -> bool:
        """Return True if the call failed, the peer did not refuse it, and its key is pinned."""
        refused = reason_of(reason) in REFUSED
        return not conversation.was_open and not refused and self.lasts(conversation)

    def queue_for(self, key: str) -> None:
        """Queue typed lines for the owner of `key`, until there is a conversation with that peer."""
        target = AwayContact(KeyedPerson(key), self.name_of(key))
        self._resolver.follow(key, target.name)
        if not self.all.move_to(target):
            target.show_current(self._context.publish)

    def _carried(self, conversation: Conversation) -> None:
        """Attach the peer's files to an open secure connection, or detach them."""
        files, session = self._files, conversation.session
        if files is None or conversation.key is None:
            return
        person = files.of(conversation.key, conversation.name)
        if session.state is SessionState.OPEN and session.connection is not None:
            person.opened(session.connection)
        else:
            person.closed(over=session.state is SessionState.CLOSED)

    def _follow(self, conversation: Conversation) -> None:
        """Follow the presence of the peer of an open conversation, to learn when it is away."""
        if conversation.key is not None and conversation.state is SessionState.OPEN:
            self._resolver.follow(conversation.key, conversation.name)

    def lasts(self, conversation: Conversation) -> bool:
        """Return True if messages outlive the conversation: the key of its recipient is pinned."""
        key = conversation.key
        return key is not None and self._context.trust.knows(key)

    def leave_all(self) -> None:
        """Leave every conversation and begin no other, because the program ends."""
        self.leaving = True
        for conversation in self.all:
            conversation.apply(conversation.session.leave())
        self.strangers.stop()
