"""Place calls of the user: locate the peer, dial it, and resume a conversation that exists already."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.dialer import Dialer, PeerUnreachable
from chatproto.client.calls.plain_calls import PlainCalls
from chatproto.client.calls.secure_dialer import SecureDialer
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation, LoneFrame
from chatproto.client.events import Notice
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.name_resolver import NameResolver
from chatproto.client.requests import Requests, telling
from chatproto.identity.pins import KEY
from chatproto.identity.recipient import (
    FirstContact,
    KeyedPerson,
    Recipient,
    carried,
    may_be,
)
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.dialects import BCP2, DIALECTS, Capabilities
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import ID, Contact, read_host_port
from chatproto.wire.reasons import (
    ANOTHER_ANSWERED,
    HAS_KEY,
    NO_ADDRESS_PLAIN,
    NO_DIALECT,
    NO_KEY_OF_OURS,
    NO_TLS,
    NOT_IN_PLAIN_TEXT,
    SPEAKS_PLAIN,
    CodedError,
)

UNKNOWN = "them"
"""Name of a peer found by /bridge, until its id is known."""


class OutgoingCalls:
    """Locate a peer, then call it, or resume the existing conversation."""

    def __init__(
        self,
        context: Context,
        dialects: KnownDialects,
        requests: Requests,
        resolver: NameResolver,
        calls: Calls,
        connections: Connections,
        plain: PlainCalls,
        dialer: Dialer,
        secure_dialer: SecureDialer,
    ) -> None:
        self._context = context
        self._dialects = dialects
        self._requests = requests
        self._resolver = resolver
        self._calls = calls
        self._connections = connections
        self._plain = plain
        self._dialer = dialer
        self._secure_dialer = secure_dialer
        calls.talked.listen(self._talked)
        calls.signals.alone.listen(self._queue_alone)

    def chat(self, target: str = "", dialect: str = "") -> None:
        """Call `target`: an id, `host:port`, or empty for the last answer of the server.

        `dialect`: call in plain text with it. Errors are published.
        """
        if dialect and dialect not in DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            why = NO_DIALECT(name=dialect, known=known)
            self._requests.fail("chat", LocalError(400, why))
            return
        plain = dialect or self._plain_dialect(target)
        if not plain and not self._context.trust.own_key:
            self._requests.fail("chat", LocalError(405, NO_KEY_OF_OURS()))
            return
        capabilities = DIALECTS[plain] if plain else BCP2
        try:
            conversation = self.prepare(target, capabilities)
        except LocalError as error:
            self._requests.fail("chat", error, target)
            return
        if conversation is not None:
            chosen = bool(dialect) or self._context.settings.dialect_chosen
            self._requests.ask("chat", lambda: self._chat(conversation, chosen))

    def deliver(self, key: str) -> None:
        """Call the owner of `key`, for whom messages are queued; show nothing before the peer answers."""
        if self._calls.has_conversation_with(key) or self._calls.leaving:
            return
        conversation = self._calls.begin(key, BCP2, KeyedPerson(key))
        conversation.quiet = True
        conversation.session.call()
        self._calls.attach(conversation)
        self._requests.ask("msg", lambda: self._chat(conversation))

    # Steps of a call.

    def _plain_dialect(self, target: str) -> str:
        """Return the dialect in which `target` is called in plain text; empty to use TLS.

        Without --plain an address is called in plain text only if the user named a dialect and no
        contact with a key is known at that address.
        """
        settings = self._context.settings
        if settings.plain:
            return settings.dialect
        if not _is_address(target):
            return ""
        if settings.dialect_chosen and not self._has_key(target):
            return settings.dialect
        if settings.open and not self._has_key(target):
            plainly = f"/chat --as {settings.dialect} {target} calls in plain text"
            self._context.publish(Notice(f"calling {target} inside TLS ({plainly})"))
        return ""

    def _has_key(self, address: str) -> bool:
        """Return True if a contact with a key is known at `address`, `host:port`."""
        try:
            contact = self._context.address_book.at(*read_host_port(address))
        except RemoteError:
            return False
        return contact is not None and contact.key is not None

    async def _chat(self, conversation: Conversation, chosen: bool = False) -> None:
        """Locate the peer, now that earlier requests are answered, and call it.

        `chosen`: the user named the dialect; else the one that last worked with the peer is used.
        """
        if conversation.state is not SessionState.CALLING:
            return
        try:
            contact = await self._resolver.find(conversation)
        except CodedError as error:
            conversation.refusal = error
            conversation.apply(conversation.session.unreachable(error.cause))
        else:
            if conversation.state is SessionState.CALLING:  # False if the peer has called meanwhile
                known = self._dialects.get(contact.client_id)
                if known and not chosen and not conversation.session.dialect.numbered:
                    conversation.session.mirror(DIALECTS[known], calling=True)
                self.place(conversation, contact)

    def prepare(self, target: str, capabilities: Capabilities) -> Conversation | None:
        """Begin a conversation for a call to `target` and make it the current one, so that typed lines
        are queued in it.

        Returns: None if there is one already, which becomes the current one. Raises: LocalError if
        `target` is unknown or ambiguous.
        """
        recipient: Recipient = FirstContact(self._calls.names.server, "")
        if target:
            recipient = self._calls.names.resolve(target)
        if recipient.key is not None and capabilities is not BCP2:
            raise LocalError(403, HAS_KEY(peer=target))
        known = self._calls.all.with_recipient(recipient) if target else None
        if known is not None and known.state is not SessionState.CALLING:
            self._resume(known)
            return None
        conversation = self._calls.begin(target or UNKNOWN, capabilities, recipient)
        conversation.session.call()
        self._calls.all.move_to(conversation)
        if self._calls.lasts(conversation):
            self._calls.attach(conversation)
        return conversation

    def _other_with(self, recipient: Recipient, conversation: Conversation) -> Conversation | None:
        """Return the conversation with `recipient` other than `conversation`."""
        found = (one for one in self._calls.all if one is not conversation)
        return next((one for one in found if one.recipient == recipient), None)

    def place(self, conversation: Conversation, contact: Contact) -> None:
        """Call `contact` in `conversation`, or resume the existing conversation with it."""
        known = self._other_with(conversation.recipient, conversation)
        if known is None and not conversation.session.dialect.numbered:
            known = self._in_plain_text(conversation, contact)
        if known is not None:
            self._merge(conversation, known, contact)
            return
        self._name(conversation, contact)
        self._dial(conversation, contact)

    def _in_plain_text(self, conversation: Conversation, contact: Contact) -> Conversation | None:
        """Return the plain-text conversation that `contact`, at the same host, has with us already."""
        known = self._calls.all.named(contact.client_id)
        if known is conversation or (known is not None and not known.in_plain_text):
            known = None
        if known is not None and known.peer_host in (None, contact.host):
            return known
        return self._calls.all.one_way(contact.host, dialled=False)

    async def dial_alone(self, conversation: Conversation) -> PlainPeerConnection:
        """Return a new plain connection to the peer for one message. Raises PeerUnreachable."""
        contact = conversation.contact
        host, port = conversation.host, conversation.port
        if contact is None and port is None:
            contact = await self._requests.then(lambda: self._resolver.locate(conversation.id))
        if contact is not None:
            host, port = contact.host, contact.port
        if host is None or port is None:
            raise PeerUnreachable(NO_ADDRESS_PLAIN(peer=conversation.name))
        connection = await self._dialer.dial(self._plain, host, port, conversation.dialect)
        if not self._connections.join(connection, conversation):
            raise PeerUnreachable(NOT_IN_PLAIN_TEXT(peer=conversation.name))
        return connection

    def _name(self, conversation: Conversation, contact: Contact) -> None:
        wanted = contact.client_id
        if "@" in conversation.called:  # the user named the server
            wanted = conversation.called
        conversation.was = "" if conversation.name == UNKNOWN else conversation.name
        self._calls.all.rename(conversation, wanted, named=":" not in contact.client_id)
        was, name = conversation.was, conversation.name
        known = conversation.key is not None and not conversation.quiet
        if known and was != name and ID.fullmatch(was) is not None:
            self._context.publish(Notice(f"{was} has the name {name} here"))

    def _dial(self, conversation: Conversation, contact: Contact) -> None:
        conversation.host, conversation.port = contact.host, contact.port
        conversation.contact = contact
        session = conversation.session
        if conversation.state is SessionState.CALLING:
            conversation.show()
        if session.dialect.numbered:
            work = self._dial_secure(conversation, contact)
        else:
            conversation.recipient = carried(conversation.recipient, None, conversation.open_peer)
            if session.dialect.dials_back:
                conversation.apply(session.connected(None))
                return
            work = self._dial_plain(conversation, contact)
        dialling = ensureDeferred(work)
        if not dialling.called:
            conversation.dialling = dialling

    async def _dial_plain(self, conversation: Conversation, contact: Contact) -> None:
        """Dial the peer in plain text, or call back on a connection of ours."""
        session = conversation.session
        try:
            connection = await self._dialer.dial(
                self._plain, contact.host, contact.port, conversation.dialect
            )
        except PeerUnreachable as error:
            conversation.dialling = None
            if session.state is SessionState.OPEN:
                text = f"{conversation.name} could not be called back: {error}"
                self._context.publish(Notice(text))
            conversation.apply(session.unreachable(error.cause))
        else:
            conversation.dialling = None
            if self._connections.join(connection, conversation):
                conversation.apply(session.connected(connection))
            else:
                conversation.apply(session.unreachable(NOT_IN_PLAIN_TEXT(peer=conversation.name)))

    async def _dial_secure(self, conversation: Conversation, contact: Contact) -> None:
        """Dial the peer inside TLS by any path; it must show the expected key."""
        session = conversation.session
        try:
            connection = await self._secure_dialer.reach(conversation, contact)
        except CancelledError:
            return
        except PeerUnreachable as error:
            conversation.dialling = None
            cause = error.cause
            if error.reason in NO_TLS:
                cause = SPEAKS_PLAIN.around(cause)
            conversation.apply(session.unreachable(cause))
        else:
            conversation.dialling = None
            known = self._other_with(KeyedPerson(connection.key), conversation)
            if known is not None and may_be(conversation.recipient, connection.key):
                # The address belongs to a peer that we already have a conversation with.
                self._go_on_at(contact, connection, known)
                self._merge(conversation, known, contact)
            elif self._connections.adopt(connection, conversation):
                conversation.apply(session.connected(connection))
            else:
                conversation.apply(session.unreachable(ANOTHER_ANSWERED()))

    def _go_on_at(
        self, contact: Contact, connection: SecurePeerConnection, known: Conversation
    ) -> None:
        """Carry `known` on `connection`, made to the address `contact`, if no connection carries it.

        The peer may have moved there, so redials use this address too.
        """
        known.host, known.port, known.contact = contact.host, contact.port, contact
        if self._connections.adopt(connection, known):
            known.apply(known.session.connected(connection))

    def _resume(self, known: Conversation, target: bool = True) -> None:
        """Resume an existing conversation; if it is ringing, answer the call.

        `target`: make it the target of typed lines.
        """
        told = target and self._calls.all.move_to(known)
        if known.state is SessionState.RINGING:
            if self._calls.attach(known):
                known.apply(known.session.call())
        elif target and not told:
            known.show(current=True)

    def _merge(self, new: Conversation, known: Conversation, contact: Contact) -> None:
        """Continue in `known` instead of the call `new`, and move the queued lines that are not logged.

        Both have the same recipient, so logged messages already belong to `known` too.
        """
        words = list(new.session.waiting)
        new.session.state = SessionState.CLOSED
        known.was, new.name = new.name, known.name
        new.merged_into = known
        if new.call_part is not None:
            new.call_part.end("open")
        was_target = self._calls.all.target is new
        self._calls.all.end(new, own=True)
        if known.name.startswith(f"{contact.client_id}~"):
            self._name(known, contact)
        self._resume(known, was_target)
        plain = not known.session.dialect.numbered
        if plain and known.state is SessionState.OPEN and not known.named:
            # The peer called and does not listen on that connection: calling back makes the other direction.
            self._name(known, contact)
            known.apply(known.session.call_back())
            self._dial(known, contact)
        known.apply(known.session.send_queued())
        for text in words:
            with telling(new.news.next_part(), ""):
                known.say(text)

    def _queue_alone(self, frame: LoneFrame) -> None:
        """Send `frame` after the frames queued before it, so that they arrive in order."""
        frame.conversation.alone.run(lambda: Deferred.fromCoroutine(self._send_alone(frame)))

    async def _send_alone(self, frame: LoneFrame) -> None:
        conversation = frame.conversation
        try:
            connection = await self.dial_alone(conversation)
        except PeerUnreachable as error:
            conversation.lone_frames -= 1
            if frame.text is not None:
                conversation.news.unsaid(frame.text, str(error))
        else:
            conversation.lone_frames -= 1
            connection.write_last(frame.data, frame.text)

    def _talked(self, conversation: Conversation) -> None:
        """Remember the dialect of a conversation in which both ends sent messages, for the next call."""
        dialect = conversation.session.dialect.name
        if conversation.contact is not None:
            self._dialects.worked(conversation.contact.client_id, dialect)
        elif conversation.named:
            self._dialects.worked(conversation.id, dialect)


def _is_address(target: str) -> bool:
    """Return True for `host:port`, as opposed to a contact's name that has a colon in it."""
    return ":" in target and "@" not in target and KEY.fullmatch(target) is None
