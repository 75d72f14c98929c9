"""Whom we call, and what the person says to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from chatproto.node.conversation import Conversation
from chatproto.node.conversations import Conversations
from chatproto.node.dialer import Dialer, Unreachable
from chatproto.node.events import Event, Notice
from chatproto.node.links import Links
from chatproto.node.people import People
from chatproto.node.settings import Settings
from chatproto.peer.plain import PlainLink
from chatproto.peer.session import PeerSession, State
from chatproto.wire.dialects import DIALECTS, Dialect, Me
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact, read_host_port
from chatproto.wire.limits import Limits


class CallsOwner(Protocol):
    """What the calls need of the node."""

    settings: Settings
    limits: Limits
    people: People
    me: Me

    @property
    def tell(self) -> Callable[[Event], None]:
        """Where news goes."""

    def settle(self) -> None:
        """Something was finished."""

    def locate(self, client_id: str) -> Deferred[Contact | None]:
        """Where the server says that `client_id` is, if it answers with them."""


class Calls:
    """Carries out what the person asks of conversations; `links` are how they are carried."""

    def __init__(self, node: CallsOwner, reactor: IReactorTime) -> None:
        self.all = Conversations()
        self.ignored: set[str] = set()
        self.links = Links(self, reactor)
        self._node = node
        self._reactor = reactor
        self._dialer = Dialer(reactor, node.limits)
        self._leaving = False

    # What the person asks for. Each raises LocalError with one sentence.

    def say(self, text: str, to: str = "") -> None:
        """Say `text` in the current conversation, or in the one with `to`."""
        conversation = self.all.named(to) if to else self.all.current
        if conversation is None:
            who = f"you are not talking with {to}" if to else "you are talking with nobody"
            raise LocalError(404, f"{who}: /chat calls somebody")
        if len(text.encode()) > self._node.limits.message:
            raise LocalError(413, f"a message has at most {self._node.limits.message} bytes")
        session = conversation.session
        if text in session.dialect.farewells and conversation.state is State.OPEN:
            conversation.perform(session.leave(text))
        elif conversation.unsent >= self._node.limits.waiting_messages:
            raise LocalError(
                429, f"{conversation.unsent} messages wait already: this one was not taken"
            )
        else:
            conversation.perform(session.say(text))

    def accept(self, what: str) -> None:
        """Take a call that rings; the conversation becomes the current one."""
        conversation = self.all.ringing(what)
        self.all.current = conversation
        conversation.perform(conversation.session.accept())

    def decline(self, what: str) -> None:
        """Refuse a call that rings."""
        conversation = self.all.ringing(what)
        conversation.perform(conversation.session.decline())

    def switch(self, what: str) -> None:
        """Make the conversation with `what` the current one."""
        conversation = self.all.named(what)
        if conversation is None:
            raise LocalError(404, f"there is no conversation with {what}")
        self.all.current = conversation
        conversation.show(current=True)

    def set_half(self, half: bool) -> None:
        """Take turns in the current conversation, or no more."""
        conversation = self.all.need_current()
        effects = conversation.session.set_half(half)
        conversation.show(mode="half" if half else "full")
        conversation.perform(effects)

    def over(self) -> None:
        """Pass the turn."""
        conversation = self.all.need_current()
        name = conversation.session.dialect.name
        raise LocalError(405, f"the {name} dialect passes the turn only with a message")

    def ignore(self, peer: str) -> None:
        """Take no calls from `peer`, or take them again."""
        ignored = peer not in self.ignored
        if ignored and len(self.ignored) >= self._node.limits.ignored:
            raise LocalError(413, f"more than {self._node.limits.ignored} people cannot be ignored")
        self.ignored ^= {peer}
        self._node.tell(Notice(f"{peer} is {'ignored' if ignored else 'no longer ignored'}"))

    def quit_current(self) -> bool:
        """Leave the current conversation. False if there is none."""
        conversation = self.all.current
        if conversation is None:
            return False
        conversation.perform(conversation.session.leave())
        return True

    def prepare(self, target: str, dialect: str) -> Conversation | None:
        """A conversation for a call to `target`, at once current, so that what is said next waits in it.

        None if there is one with them already, which becomes the current one.
        """
        known = self.all.named(target) if target else None
        if known is not None and known.state is not State.CALLING:
            self._resume(known)
            return None
        conversation = self.begin(target or "them", DIALECTS[dialect])
        conversation.session.call()
        self.all.current = conversation
        return conversation

    def place(self, conversation: Conversation, target: str) -> None:
        """Find out who `target` is and call them in `conversation`."""
        if conversation.state is not State.CALLING:
            return
        try:
            contact = self._resolve(target)
        except (LocalError, RemoteError) as error:
            conversation.perform(conversation.session.unreachable(error.detail))
            return
        known = self.all.named(contact.client_id)
        if known is None or known is conversation:
            known = self.all.one_way(contact.host, dialled=False)
        if known is not None:
            self._merge(conversation, known, contact)
            return
        self._name(conversation, contact)
        self._dial(conversation, contact)

    # What others need of it.

    @property
    def me(self) -> Me:
        """Who we are, as openers tell it."""
        return self._node.me

    @property
    def settings(self) -> Settings:
        """How we were told to behave."""
        return self._node.settings

    @property
    def limits(self) -> Limits:
        """The named limits."""
        return self._node.limits

    @property
    def people(self) -> People:
        """Whom we have heard of."""
        return self._node.people

    @property
    def current(self) -> Conversation | None:
        """Who is spoken to."""
        return self.all.current

    def tell(self, event: Event) -> None:
        """News for the person."""
        self._node.tell(event)

    def begin(self, name: str, dialect: Dialect) -> Conversation:
        """A new conversation."""
        node = self._node
        session = PeerSession(dialect, half=node.settings.half_duplex, limits=node.limits)
        return self.all.begin(
            lambda number: Conversation(self, self._reactor, node.limits, session, name, number)
        )

    def conversation_ended(self, conversation: Conversation) -> None:
        """It is closed: forget it."""
        was_current = conversation is self.all.current
        self.all.end(conversation)
        if was_current and len(self.all) and not self._leaving:
            names = ", ".join(one.name for one in self.all)
            self.tell(Notice(f"still there: {names} (/switch)"))
        self._node.settle()

    async def dial_alone(self, conversation: Conversation) -> PlainLink:
        """A new connection to them, for one message. Raises Unreachable."""
        contact = self._node.people.named(conversation.name)
        host, port = conversation.host, conversation.port
        if contact is None and port is None:
            contact = await self._node.locate(conversation.name)
        if contact is not None:
            host, port = contact.host, contact.port
        if host is None or port is None:
            raise Unreachable(f"no address for {conversation.name}: /bridge or /info may tell it")
        link = await self._dialer.dial(self.links, host, port, conversation.session.dialect)
        self.links.belongs(link, conversation)
        return link

    def written(self) -> None:
        """A message of ours went out."""
        self._node.settle()

    def leave_all(self, done: Callable[[], None]) -> None:
        """Leave every conversation; call `done` when all links are closed, or after `exit_wait`."""
        self._leaving = True
        for conversation in self.all:
            conversation.perform(conversation.session.leave())
        self.links.when_closed(done)

    # How it follows.

    def _name(self, conversation: Conversation, contact: Contact) -> None:
        self.all.rename(conversation, contact.client_id, named=":" not in contact.client_id)

    def _resolve(self, target: str) -> Contact:
        people, me = self._node.people, self._node.me
        contact = people.named(target) if target else people.bridged
        if ":" in target:
            host, port = read_host_port(target)
            contact = people.at(host, port) or Contact(target, host, port)
        if contact is None and target:
            raise LocalError(404, f"no address for {target}: /info or /bridge may tell it")
        if contact is None:
            raise LocalError(404, "whom? /bridge asks the server, /chat host:port calls directly")
        if contact.port == me.port and contact.host in (me.host, "localhost", "127.0.0.1", "::1"):
            raise LocalError(400, "that is your own address")
        return contact

    def _dial(self, conversation: Conversation, contact: Contact) -> None:
        conversation.host, conversation.port = contact.host, contact.port
        session = conversation.session
        if conversation.state is State.CALLING:
            conversation.show()
        if session.dialect.dials_back:
            conversation.perform(session.connected(None))
            return
        dialled = self._dialer.dial(self.links, contact.host, contact.port, session.dialect)
        conversation.dialling = dialled

        def connected(link: PlainLink) -> None:
            conversation.dialling = None
            self.links.belongs(link, conversation)
            conversation.perform(session.connected(link))

        def failed(failure: Any) -> None:
            failure.trap(Unreachable)
            conversation.dialling = None
            if session.state is State.OPEN:
                self.tell(Notice(f"calling back in vain: {failure.value}"))
            conversation.perform(session.unreachable(str(failure.value)))

        dialled.addCallbacks(connected, failed)

    def _resume(self, known: Conversation) -> None:
        """Go on with a conversation that is there; if it rings, calling them takes the call."""
        self.all.current = known
        if known.state is State.RINGING:
            known.perform(known.session.call())
        else:
            known.show(current=True)

    def _merge(self, new: Conversation, known: Conversation, contact: Contact) -> None:
        """What was to be a call is a conversation that is there already; its words go there."""
        words = tuple(new.session.waiting)
        self.all.end(new)
        self._resume(known)
        if known.state is State.OPEN and not known.named:
            # They called and do not listen on that connection: calling back makes the other way.
            self._name(known, contact)
            known.perform(known.session.call_back())
            self._dial(known, contact)
        for text in words:
            known.perform(known.session.say(text))
