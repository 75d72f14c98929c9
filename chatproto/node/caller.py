"""Places calls, and goes on with a conversation where there is one already."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import CancelledError, ensureDeferred

from chatproto.net.clock import Wall
from chatproto.node.acquaintances import Acquaintances
from chatproto.node.conversation import Conversation
from chatproto.node.conversations import Conversations
from chatproto.node.dialer import Dialer, Unreachable
from chatproto.node.events import Event, Notice
from chatproto.node.links import Links
from chatproto.node.secure_dialer import SecureDialer
from chatproto.peer.manner import SECURE, Manner
from chatproto.peer.plain import PlainLink
from chatproto.peer.plain_session import PlainSession
from chatproto.peer.secure import SecureLink
from chatproto.peer.secure_session import SecureSession
from chatproto.peer.table import State
from chatproto.wire.dialects import Dialect
from chatproto.wire.fields import Contact


class CallerOwner(Protocol):
    """What it needs of the calls."""

    all: Conversations
    links: Links
    leaving: bool

    @property
    def acquaintances(self) -> Acquaintances | None: ...
    def tell(self, event: Event) -> None: ...
    def now(self) -> Wall: ...
    def begin(self, name: str, manner: Manner) -> Conversation: ...
    def attach(self, conversation: Conversation, key: str) -> None: ...
    def belongs(self, link: SecureLink, conversation: Conversation) -> None: ...
    def talks_with(self, key: str) -> bool: ...


class Caller:
    """Makes the connection for a call, in whatever manner it is to be."""

    def __init__(self, calls: CallerOwner, dialer: Dialer, secure: SecureDialer) -> None:
        self._calls = calls
        self._dialer = dialer
        self._secure_dialer = secure

    def prepare(self, target: str, manner: Manner) -> Conversation | None:
        """A conversation for a call to `target`, at once current, so that what is said next waits in it.

        None if there is one with them already, which becomes the current one.
        """
        known = self._calls.all.named(target) if target else None
        if known is not None and known.state is not State.CALLING:
            self._resume(known)
            return None
        conversation = self._calls.begin(target or "them", manner)
        conversation.session.call()
        self._calls.all.current = conversation
        pin = (
            self._calls.acquaintances.pinned(target)
            if self._calls.acquaintances is not None
            else None
        )
        if pin is not None and manner is SECURE:
            self._calls.attach(conversation, pin.key)
        return conversation

    def deliver(self, key: str, name: str) -> Conversation | None:
        """A call to somebody for whom something waits; nothing is shown before they take it."""
        if (
            self._calls.talks_with(key)
            or self._calls.all.named(name) is not None
            or self._calls.leaving
        ):
            return None
        conversation = self._calls.begin(name, SECURE)
        conversation.quiet = True
        conversation.session.call()
        self._calls.attach(conversation, key)
        return conversation

    def _with_key(self, key: str | None, but: Conversation) -> Conversation | None:
        """Another conversation than `but` with `key`."""
        found = (one for one in self._calls.all if one.key == key and one is not but)
        return next(found, None) if key is not None else None

    def place(self, conversation: Conversation, contact: Contact) -> None:
        """Call `contact` in `conversation`, or go on with the one that there is with them."""
        known = self._with_key(contact.key, conversation) or self._calls.all.named(
            contact.client_id
        )
        if known is None or known is conversation:
            known = self._calls.all.one_way(contact.host, dialled=False)
        if known is not None:
            self._merge(conversation, known, contact)
            return
        self._name(conversation, contact)
        self._dial(conversation, contact)

    # How it follows.

    def _name(self, conversation: Conversation, contact: Contact) -> None:
        self._calls.all.rename(conversation, contact.client_id, named=":" not in contact.client_id)

    def _dial(self, conversation: Conversation, contact: Contact) -> None:
        conversation.host, conversation.port = contact.host, contact.port
        conversation.contact = contact
        session = conversation.session
        if conversation.state is State.CALLING:
            conversation.show()
        if isinstance(session, SecureSession):
            if contact.key is not None:
                conversation.key = contact.key  # by which a call of theirs that crosses is known
            dialling = ensureDeferred(self._dial_secure(conversation, contact))
            if not dialling.called:
                conversation.dialling = dialling
            return
        dialect = session.dialect
        assert isinstance(dialect, Dialect)
        if dialect.dials_back:
            conversation.perform(session.connected(None))
            return
        dialled = self._dialer.dial(self._calls.links, contact.host, contact.port, dialect)
        conversation.dialling = dialled

        def connected(link: PlainLink) -> None:
            conversation.dialling = None
            self._calls.links.belongs(link, conversation)
            conversation.perform(session.connected(link))

        def failed(failure: Any) -> None:
            failure.trap(Unreachable)
            conversation.dialling = None
            if session.state is State.OPEN:
                self._calls.tell(Notice(f"calling back in vain: {failure.value}"))
            conversation.perform(session.unreachable(str(failure.value)))

        dialled.addCallbacks(connected, failed)

    async def _dial_secure(self, conversation: Conversation, contact: Contact) -> None:
        """Call them inside TLS, by whatever way there is, with the key that they must have."""
        session = conversation.session
        assert isinstance(session, SecureSession)
        try:
            link = await self._secure_dialer.reach(conversation, contact)
        except CancelledError:
            return
        except Unreachable as error:
            conversation.dialling = None
            reason = str(error)
            if "TLS" in reason:
                reason += "; if they speak plain text only, /chat --as canon calls in the open"
            conversation.perform(session.unreachable(reason))
        else:
            conversation.dialling = None
            known = self._with_key(link.key, conversation)
            if known is not None:  # called by an address, it is somebody whom we talk to
                link.drop()
                self._merge(conversation, known, contact)
                return
            self._calls.belongs(link, conversation)
            conversation.perform(session.asked(link))

    def _resume(self, known: Conversation) -> None:
        """Go on with a conversation that is there; if it rings, calling them takes the call."""
        self._calls.all.current = known
        if known.state is State.RINGING:
            if known.key is not None:
                self._calls.attach(known, known.key)
            known.perform(known.session.call())
        else:
            known.show(current=True)

    def _merge(self, new: Conversation, known: Conversation, contact: Contact) -> None:
        """What was to be a call is a conversation that is there already; its words go there."""
        words = list(new.session.waiting)
        before, there = new.session, known.session
        post = before.post if isinstance(before, SecureSession) else None
        if post is not None and post is not getattr(there, "post", None):
            words = post.take_unwritten()
        new.session.state = State.CLOSED
        new.name = known.name
        self._calls.all.end(new)
        if known.name.startswith(f"{contact.client_id}~"):
            self._name(known, contact)
        self._resume(known)
        plain = isinstance(known.session, PlainSession)
        if plain and known.state is State.OPEN and not known.named:
            # They called and do not listen on that connection: calling back makes the other way.
            self._name(known, contact)
            assert isinstance(known.session, PlainSession)
            known.perform(known.session.call_back())
            self._dial(known, contact)
        if isinstance(there, SecureSession):
            known.perform(there.go_on())
        for text in words:
            known.perform(known.session.say(text, self._calls.now()))
