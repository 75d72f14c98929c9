"""Handle events of plain connections: callers, messages, and the conversation they belong to."""

from __future__ import annotations

from functools import partial

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import IncomingCallEvent, Notice
from chatproto.directory.classic_registration import shown_ip
from chatproto.net.addresses import network
from chatproto.session.plain_connection import PlainPeerConnection, PlainPeerOwner
from chatproto.session.state import SessionState
from chatproto.wire.dialects import DIALECTS, LOBBY, PEERS
from chatproto.wire.fields import Contact, host_port, is_local
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reader import DialectKnown, Item, Left, PlainMessage
from chatproto.wire.reasons import Cause, Reason

REFUSED_TOLD = 100
"""Most machines for which a refused call is reported."""


class PlainCalls:
    """Match plain connections to conversations by their claimed id, and let callers ring."""

    def __init__(
        self,
        context: Context,
        calls: Calls,
        connections: Connections,
        secure: SecureCalls,
        rendezvous: RendezvousTable,
    ) -> None:
        self._context = context
        self._calls = calls
        self._connections = connections
        self._secure = secure
        self._rendezvous = rendezvous
        self._strangers = calls.strangers
        self._refused: set[str] = set()

    # Called by a connection.

    def connection_made(self, connection: PlainPeerConnection) -> None:
        """Add a new connection, dialled or accepted. If there are too many callers, drop the one that has
        been silent longest, or else the new one."""
        connection.heed(self._context.settings.farewells)
        talker = f"plain {network(connection.host)}"  # no identity is proved in plain text
        connection.toll = lambda cost: self._connections.toll(talker, cost)
        if connection.called:
            if not self._strangers.admit(
                connection, connection.host, lambda: self._is_silent(connection)
            ):
                connection.drop()
                return
            self._connections.add(connection)
        self._connections.obey(connection)

    def _is_silent(self, connection: PlainPeerConnection) -> bool:
        conversation = self._connections.carried.get(connection)
        return (
            connection.called
            and not connection.heard_any
            and (conversation is None or not conversation.said_any)
        )

    def connection_hello(self, connection: PlainPeerConnection, data: bytes) -> None:
        """Hand a caller that begins TLS to the secure calls."""
        self._connections.release(connection)
        self._secure.accept(connection, data)

    def connection_punched(self, connection: PlainPeerConnection, call: str, data: bytes) -> None:
        """Hand a caller that names its introduction to the rendezvous table."""
        self._connections.release(connection)
        self._rendezvous.punched(connection, call, data)

    def items_received(self, connection: PlainPeerConnection, items: list[Item]) -> None:
        """Handle items received on `connection`."""
        self._mirror(connection)
        for item in items:
            match item:
                case DialectKnown():
                    self._opened(connection, item)
                case PlainMessage(text):
                    conversation = self._connections.carried.get(connection)
                    if conversation is not None:
                        conversation.apply(conversation.session.text_received(text))
                case Left(word):
                    self._left(connection, word)
                    return

    def connection_silent(self, connection: PlainPeerConnection) -> None:
        """Show a caller that waits for a greeting by its address, so that the user can write first."""
        if (
            connection not in self._connections
            or self._connections.carried.get(connection) is not None
        ):
            return
        connection.assume(DIALECTS["raw"])
        self._opened(connection, DialectKnown(DIALECTS["raw"], None, None, None))
        conversation = self._connections.carried.get(connection)
        if conversation is not None:
            conversation.apply(conversation.session.greeted())

    def connection_lost(
        self, connection: PlainPeerConnection, reason: str, unwritten: tuple[str, ...]
    ) -> None:
        """Forget a connection that has ended, and tell its conversation."""
        conversation = self._connections.release(connection)
        self._strangers.left(connection)
        if conversation is not None:
            self._lost(conversation, connection, reason, unwritten)
        self._connections.closed()

    # Callers and conversations.

    def _opened(self, connection: PlainPeerConnection, opened: DialectKnown) -> None:
        conversation = self._connections.carried.get(connection)
        if not connection.called:
            return
        if conversation is not None:
            self._identified(conversation, opened)
            return
        known = self._known_caller(connection, opened)
        if known is not None:
            if self._connections.join(connection, known):
                known.apply(known.session.called(connection))
            return
        name = opened.client_id or host_port(connection.host, connection.port)
        if self._calls.ignores(name):
            connection.drop()
            return
        self._ring(connection, opened, name)

    def _ring(self, connection: PlainPeerConnection, opened: DialectKnown, name: str) -> None:
        settings = self._context.settings
        if not (settings.plain or settings.open):
            connection.drop()
            self._tell_refused(connection)
            return
        ringing = self._calls.all.count_ringing(known=False)
        if not self._strangers.may_ring(
            "", connection.host, False, ringing, silent=not connection.heard_any
        ):
            connection.drop()
            return
        conversation = self._calls.begin("", opened.dialect)
        self._calls.all.rename(conversation, name, named=opened.client_id is not None)
        self._locate(conversation, connection, opened)
        self._connections.join(connection, conversation)
        at_once = settings.answer == "all" or (settings.plain and settings.answer != "none")
        host, port = conversation.host or connection.host, conversation.port or connection.port
        self._context.publish(IncomingCallEvent(conversation.name, host, port, ask=not at_once))
        self._calls.ring(conversation, conversation.session.called(connection), at_once)

    def _tell_refused(self, connection: PlainPeerConnection) -> None:
        """Report one refused plain-text call per machine, so that a stranger cannot fill the screen."""
        machine = network(connection.host)
        if machine not in self._refused and len(self._refused) < REFUSED_TOLD:
            self._refused.add(machine)
            if not self._strangers.may_show(machine):
                return
            where = host_port(connection.host, connection.port)
            self._context.publish(
                Notice(f"refused a call in plain text from {where} (--open would take it)")
            )

    def _known_caller(
        self, connection: PlainPeerConnection, opened: DialectKnown
    ) -> Conversation | None:
        if opened.client_id is None:
            return self._calls.all.one_way(connection.host, dialled=True)
        # An id is only a claim: the same id from another machine is another peer.
        return next(
            (
                one
                for one in self._calls.all
                if not one.session.dialect.numbered  # no plain-text call belongs to a TLS conversation
                and one.called == opened.client_id
                and one.named
                and one.in_plain_text
                and one.peer_host in (None, connection.host)
                and self._may_be_another_of(one, opened)
            ),
            None,
        )

    def _may_be_another_of(self, one: Conversation, opened: DialectKnown) -> bool:
        """Return True unless two programs behind one address claim the same id.

        Two programs announce two ports. A dialect without a port has one connection at a time, unless
        it makes one for each message.
        """
        if opened.port is not None and one.told_port is not None:
            return opened.port == one.told_port
        if opened.dialect.dials_back:
            return True
        return not any(connection.called for connection in self._connections.carrying(one))

    def _mirror(self, connection: PlainPeerConnection) -> None:
        """Switch to the dialect in which a called peer has answered."""
        conversation, dialect = self._connections.carried.get(connection), connection.reader.dialect
        if not connection.called and conversation is not None and dialect is not None:
            conversation.session.mirror(dialect)

    def _identified(self, conversation: Conversation, opened: DialectKnown) -> None:
        """Name a caller that was silent at first and has now given its id."""
        conversation.session.dialect = opened.dialect
        if opened.client_id is not None and not conversation.named:
            before = conversation.name
            self._calls.all.rename(conversation, opened.client_id, named=True)
            self._context.publish(Notice(f"{before} is now called {conversation.name}"))

    def _locate(
        self, conversation: Conversation, connection: PlainPeerConnection, opened: DialectKnown
    ) -> None:
        """Store the address at which the peer can be called back: the announced one, if it is usable.

        A host announced from another machine is replaced if it is a name, another public address, or
        unreachable from here.
        """
        here = is_local(connection.host)
        told = opened.host or connection.host
        if not here:
            told = shown_ip(told, connection.host, False)
        # With one connection per message, the port of this one accepts no calls.
        seen = None if opened.dialect.dials_back else connection.port
        conversation.host, conversation.port = told, opened.port or seen
        conversation.told_port = opened.port
        if opened.client_id is not None and opened.port is not None:
            # A claim does not replace the address of a contact with a key or at another host.
            known = self._context.address_book.named(opened.client_id)
            if known is None or (known.key is None and known.host == told):
                self._context.address_book.remember(Contact(opened.client_id, told, opened.port))

    def _left(self, connection: PlainPeerConnection, word: str) -> None:
        conversation = self._connections.carried.get(connection)
        if conversation is None:
            # A farewell on its own connection, from a peer that makes a new one for every message.
            for one in self._calls.all:
                if (
                    one.session.dialect.dials_back
                    and one.peer_host in (None, connection.host)
                    and word
                ):
                    conversation = one
            connection.drop()
        if conversation is None:
            return
        if word:
            talked = conversation.state is SessionState.OPEN and conversation.heard_any
            ends = talked and not conversation.unsent
            conversation.apply(conversation.session.left(connection))
            connection.drop()
            if ends:
                self._calls.left(None)
        else:
            # The peer may have other connections, so the end of one need not end the conversation.
            connection.drop()
            self._lost(conversation, connection, Cause(Reason.CONNECTION_LOST))

    def _lost(
        self,
        conversation: Conversation,
        connection: PlainPeerConnection,
        reason: str,
        unwritten: tuple[str, ...] = (),
    ) -> None:
        """Handle the end of `connection`. The peer may have hung up because it did not know our dialect."""
        session = conversation.session
        unknown = not (connection.called or conversation.heard_any or session.dialect is LOBBY)
        was_open = conversation.state is SessionState.OPEN
        conversation.apply(session.lost(connection, reason, unwritten))
        if unknown and was_open and conversation.state is SessionState.CLOSED:
            others = "|".join(name for name in PEERS if name != session.dialect.name)
            name = conversation.called
            hint = f"/chat --as {others} {name}"
            self._context.publish(Notice(f"perhaps {name} speaks another dialect: try {hint}"))


class PlainPeerFactory(Factory):
    """Factory for peers that dial our port; the first bytes of each connection tell its dialect."""

    noisy = False

    def __init__(self, owner: PlainPeerOwner, clock: IReactorTime, limits: ClientLimits) -> None:
        self._connection = partial(PlainPeerConnection, owner, clock, limits, None)

    def buildProtocol(self, addr: IAddress | None) -> PlainPeerConnection:
        return self._connection()
