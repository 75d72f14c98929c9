"""Who calls whom: the conversations of a node, and the links that belong to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from chatproto.node.conversation import Conversation
from chatproto.node.dialer import Dialer, Unreachable
from chatproto.node.events import Event, Incoming, Notice
from chatproto.node.people import People
from chatproto.node.settings import Settings
from chatproto.peer.plain import PlainLink
from chatproto.peer.session import PeerSession, State
from chatproto.wire.dialects import DIALECTS, Dialect, Item, Left, Me, Opened, Said
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import Contact, host_port, is_local, read_host_port
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


class Calls:
    """Every conversation that is not over, which one is current, and which link belongs to which."""

    def __init__(self, node: CallsOwner, reactor: IReactorTime) -> None:
        self.current: Conversation | None = None
        self._node = node
        self._reactor = reactor
        self._dialer = Dialer(reactor, node.limits)
        self._conversations: list[Conversation] = []
        self._links: dict[PlainLink, Conversation | None] = {}
        self._ignored: set[str] = set()
        self._number = 0
        self._all_left: Callable[[], None] | None = None

    # What the person asks for. Each raises LocalError with one sentence.

    def say(self, text: str, to: str = "") -> None:
        """Say `text` in the current conversation, or in the one with `to`."""
        conversation = self._find(to) if to else self.current
        if conversation is None:
            who = f"you are not talking with {to}" if to else "you are talking with nobody"
            raise LocalError(404, f"{who}: /chat calls somebody")
        if len(text.encode()) > self._node.limits.message:
            raise LocalError(413, f"a message has at most {self._node.limits.message} bytes")
        session = conversation.session
        if text in session.dialect.farewells and conversation.state is State.OPEN:
            conversation.perform(session.leave(text))
        elif conversation.unsent >= self._node.limits.waiting_messages:
            raise LocalError(429, f"{conversation.unsent} messages wait already: this one was not taken")
        else:
            conversation.perform(session.say(text))

    def accept(self, what: str) -> None:
        """Take a call that rings; the conversation becomes the current one."""
        conversation = self._ringing(what)
        self.current = conversation
        conversation.perform(conversation.session.accept())

    def decline(self, what: str) -> None:
        """Refuse a call that rings."""
        conversation = self._ringing(what)
        conversation.perform(conversation.session.decline())

    def switch(self, what: str) -> None:
        """Make the conversation with `what` the current one."""
        conversation = self._find(what)
        if conversation is None:
            raise LocalError(404, f"there is no conversation with {what}")
        self.current = conversation
        conversation.show(current=True)

    def set_half(self, half: bool) -> None:
        """Take turns in the current conversation, or no more."""
        conversation = self._need_current()
        effects = conversation.session.set_half(half)
        conversation.show(mode="half" if half else "full")
        conversation.perform(effects)

    def over(self) -> None:
        """Pass the turn."""
        conversation = self._need_current()
        name = conversation.session.dialect.name
        raise LocalError(405, f"the {name} dialect passes the turn only with a message")

    def ignore(self, peer: str) -> None:
        """Take no calls from `peer`, or take them again."""
        ignored = peer not in self._ignored
        if ignored and len(self._ignored) >= self._node.limits.ignored:
            raise LocalError(413, f"more than {self._node.limits.ignored} people cannot be ignored")
        self._ignored ^= {peer}
        self._node.tell(Notice(f"{peer} is {'ignored' if ignored else 'no longer ignored'}"))

    def quit_current(self) -> bool:
        """Leave the current conversation. False if there is none."""
        conversation = self.current
        if conversation is None:
            return False
        conversation.perform(conversation.session.leave())
        return True

    def prepare(self, target: str, dialect: str) -> Conversation | None:
        """A conversation for a call to `target`, at once current, so that what is said next waits in it.

        None if there is one with them already, which becomes the current one.
        """
        known = self._find(target) if target else None
        if known is not None and known.state is not State.CALLING:
            self._resume(known)
            return None
        conversation = self._new(target or "them", DIALECTS[dialect])
        conversation.session.call()
        self.current = conversation
        return conversation

    def place(self, conversation: Conversation, target: str) -> None:
        """Find out who `target` is and call them in `conversation`."""
        if conversation.state is not State.CALLING:
            return
        try:
            contact = self._resolve(target)
        except LocalError as error:
            conversation.perform(conversation.session.unreachable(error.detail))
            return
        known = self._find(contact.client_id) or self._one_way(contact.host, dialled=False)
        if known is not None and known is not conversation:
            self._merge(conversation, known, contact)
            return
        self._name(conversation, contact.client_id)
        self._dial(conversation, contact)

    # What it tells others.

    @property
    def unsent(self) -> int:
        """How many messages of ours have not been written yet, in all conversations."""
        return sum(conversation.unsent for conversation in self._conversations)

    @property
    def any_left(self) -> bool:
        """Whether a conversation is not over."""
        return bool(self._conversations)

    @property
    def me(self) -> Me:
        """Who we are, as openers tell it."""
        return self._node.me

    def tell(self, event: Event) -> None:
        """News for the person."""
        self._node.tell(event)

    def rows(self) -> list[dict[str, Any]]:
        """The conversations, for /who."""
        return [
            {
                "id": one.name,
                "host": one.host,
                "port": one.port,
                "state": one.state.value,
                "security": one.security(),
                "turn": one.session.floor.turn.value,
                "current": one is self.current,
            }
            for one in self._conversations
        ]

    def leave_all(self, done: Callable[[], None]) -> None:
        """Leave every conversation; call `done` when all links are closed, or after `exit_wait`."""
        for conversation in tuple(self._conversations):
            conversation.perform(conversation.session.leave())
        for link, conversation in tuple(self._links.items()):
            if conversation is None:
                link.drop()
        late = self._reactor.callLater(self._node.limits.exit_wait, lambda: finish())

        def finish() -> None:
            self._all_left = None
            if late.active():
                late.cancel()
            done()

        self._all_left = finish
        self._check_all_left()

    def conversation_ended(self, conversation: Conversation) -> None:
        """It is closed: forget it."""
        self._conversations.remove(conversation)
        if conversation is self.current:
            self.current = None
            names = ", ".join(one.name for one in self._conversations)
            if names and self._all_left is None:
                self.tell(Notice(f"still there: {names} (/switch)"))
        self._node.settle()

    # What happens on links.

    def link_made(self, link: PlainLink) -> None:
        """A connection is there, ours or theirs."""
        if link.called and len(self._links) >= self._node.limits.callers:
            link.drop()
        elif link.called:
            self._links[link] = None

    def link_heard(self, link: PlainLink, items: list[Item]) -> None:
        """They sent these."""
        for item in items:
            match item:
                case Opened():
                    self._opened(link, item)
                case Said(text):
                    conversation = self._links.get(link)
                    if conversation is not None:
                        conversation.perform(conversation.session.heard(text))
                case Left(word):
                    self._left(link, word)
                    return

    def link_silent(self, link: PlainLink) -> None:
        """A caller waits to be greeted: show it by its address; it may be spoken to."""
        if self._links.get(link, self) is not None:
            return
        link.assume(DIALECTS["raw"])
        self._opened(link, Opened(DIALECTS["raw"], None, None, None))
        conversation = self._links.get(link)
        if conversation is not None:
            conversation.perform(conversation.session.silent())

    def link_spoke(self, link: PlainLink, text: str) -> None:
        """A message of ours was written."""
        conversation = self._links.get(link)
        if conversation is not None:
            conversation.spoke(text)
            self._node.settle()

    def link_lost(self, link: PlainLink, reason: str, unwritten: tuple[str, ...]) -> None:
        """A connection is gone."""
        conversation = self._links.pop(link, None)
        if conversation is not None:
            conversation.perform(conversation.session.lost(link, reason, unwritten))
        self._check_all_left()

    def dial_alone(self, conversation: Conversation) -> Deferred[PlainLink]:
        """A new connection to them, for one message."""
        contact = self._node.people.named(conversation.name)
        host, port = (contact.host, contact.port) if contact else (conversation.host, conversation.port)
        if host is None or port is None:
            raise Unreachable(f"no address for {conversation.name}: /bridge or /info may tell it")
        dialled = self._dialer.dial(self, host, port, conversation.session.dialect)

        def keep(link: PlainLink) -> PlainLink:
            self._links[link] = conversation
            return link

        return dialled.addCallback(keep)

    # How it follows.

    def _check_all_left(self) -> None:
        if self._all_left is not None and not self._links:
            self._all_left()

    def _need_current(self) -> Conversation:
        if self.current is None:
            raise LocalError(404, "you are talking with nobody: /chat calls somebody")
        return self.current

    def _find(self, name: str) -> Conversation | None:
        return next((one for one in self._conversations if one.name == name), None)

    def _ringing(self, what: str) -> Conversation:
        rings = [one for one in self._conversations if one.state is State.RINGING]
        if what:
            rings = [one for one in rings if what in (one.name, str(one.number))]
        if not rings:
            raise LocalError(404, f"{what} does not call" if what else "nobody calls")
        return rings[-1]

    def _new(self, name: str, dialect: Dialect) -> Conversation:
        node = self._node
        session = PeerSession(dialect, half=node.settings.half_duplex, limits=node.limits)
        self._number += 1
        conversation = Conversation(self, self._reactor, node.limits, session, name, self._number)
        self._conversations.append(conversation)
        return conversation

    def _name(self, conversation: Conversation, wanted: str) -> None:
        """Call it `wanted`, or, where another has that name, `wanted~2` and so on."""
        taken = {one.name for one in self._conversations if one is not conversation}
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}~{number}"
        conversation.name = name
        conversation.named = ":" not in wanted

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
        dialled = self._dialer.dial(self, contact.host, contact.port, session.dialect)
        conversation.dialling = dialled

        def connected(link: PlainLink) -> None:
            conversation.dialling = None
            self._links[link] = conversation
            conversation.perform(session.connected(link))

        def failed(failure: Any) -> None:
            failure.trap(Unreachable)
            conversation.dialling = None
            conversation.perform(session.unreachable(str(failure.value)))

        dialled.addCallbacks(connected, failed)

    def _resume(self, known: Conversation) -> None:
        """Go on with a conversation that is there; if it rings, calling them takes the call."""
        self.current = known
        if known.state is State.RINGING:
            known.perform(known.session.call())
        else:
            known.show(current=True)

    def _merge(self, new: Conversation, known: Conversation, contact: Contact) -> None:
        """What was to be a call is a conversation that is there already; its words go there."""
        words = tuple(new.session.waiting)
        self._conversations.remove(new)
        self._resume(known)
        if known.state is State.OPEN and not known.named:
            # They called and do not listen on that connection: calling back makes the other way.
            self._name(known, contact.client_id)
            self._dial(known, contact)
        for text in words:
            known.perform(known.session.say(text))

    def _one_way(self, host: str, *, dialled: bool) -> Conversation | None:
        """The one conversation in bare text with somebody at `host` that goes one way only, if any.

        Some programs never answer on a connection that they accepted but make their own.
        """
        found = [
            one
            for one in self._conversations
            if one.state is State.OPEN and one.one_way(dialled=dialled) and one.peer_host == host
        ]
        return found[0] if len(found) == 1 else None

    def _opened(self, link: PlainLink, opened: Opened) -> None:
        conversation = self._links.get(link)
        if not link.called:
            return
        if conversation is not None:
            self._identified(conversation, opened)
            return
        known = self._known_caller(link, opened)
        if known is not None:
            self._links[link] = known
            known.perform(known.session.called(link))
            return
        name = opened.client_id or host_port(link.host, link.port)
        ringing = sum(one.state is State.RINGING for one in self._conversations)
        if name in self._ignored or ringing >= self._node.limits.ringing:
            link.drop()
            return
        self._ring(link, opened, name)

    def _ring(self, link: PlainLink, opened: Opened, name: str) -> None:
        settings = self._node.settings
        if not (settings.plain or settings.open):
            link.drop()
            return
        conversation = self._new("", opened.dialect)
        self._name(conversation, name)
        self._locate(conversation, link, opened)
        self._links[link] = conversation
        at_once = settings.answer == "all" or (settings.plain and settings.answer != "none")
        host, port = conversation.host or link.host, conversation.port or link.port
        self.tell(Incoming(conversation.name, host, port, ask=not at_once))
        effects = conversation.session.called(link)
        if not at_once:
            conversation.perform(effects)
            return
        if self.current is None:
            self.current = conversation
        conversation.perform(conversation.session.accept())

    def _known_caller(self, link: PlainLink, opened: Opened) -> Conversation | None:
        if opened.client_id is None:
            return self._one_way(link.host, dialled=True)
        known = self._find(opened.client_id)
        # An id is only a claim: from another machine it is somebody else.
        return known if known is not None and known.peer_host in (None, link.host) else None

    def _identified(self, conversation: Conversation, opened: Opened) -> None:
        """Somebody who was silent at first has told who they are."""
        conversation.session.dialect = opened.dialect
        if opened.client_id is not None and not conversation.named:
            before = conversation.name
            self._name(conversation, opened.client_id)
            self.tell(Notice(f"{before} is {conversation.name}"))

    def _locate(self, conversation: Conversation, link: PlainLink, opened: Opened) -> None:
        """Where they can be called: as they say, but for a loopback address told from elsewhere."""
        told = opened.host
        if told is None or (is_local(told) and not is_local(link.host)):
            told = link.host
        conversation.host, conversation.port = told, opened.port or link.port
        if opened.client_id is not None and opened.port is not None:
            self._node.people.remember(Contact(opened.client_id, told, opened.port))

    def _left(self, link: PlainLink, word: str) -> None:
        conversation = self._links.get(link)
        if conversation is None:
            # A farewell on a connection of its own, from one who makes a new one for every message.
            for one in self._conversations:
                if one.session.dialect.dials_back and one.peer_host in (None, link.host) and word:
                    conversation = one
            link.drop()
        if conversation is None:
            return
        if word:
            conversation.perform(conversation.session.left(link))
            link.drop()
        else:
            # The mere end of one connection: of several it is not the end of the conversation.
            link.drop()
            conversation.perform(conversation.session.lost(link, "the connection ended"))
