"""Begin and end calls on secure connections: callers, their ids, the conversation they belong to.

A connection passes messages directly to its session, not through here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.dialer import PeerUnreachable
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import Failed, IncomingCallEvent, Notice
from chatproto.client.name_resolver import NameResolver
from chatproto.identity.recipient import KeyedPerson, OpenPeer, caller
from chatproto.identity.trust import Belief, Worth, changed_key
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.secure_connection import SecurePeerConnection, opening_of
from chatproto.session.state import SessionState
from chatproto.wire.bcp2_peer import Chat, ChatAck
from chatproto.wire.dialects import BCP2

if TYPE_CHECKING:
    from chatproto.client.calls.connector import Connector

log = Logger()

WARN_AGAIN = 60.0
"""Seconds between two warnings of a wrong key for one id, so that a stranger cannot fill the screen."""
WARNED = 1000
"""Most ids for which the time of the last warning is stored."""


class SecureCalls:
    """Match TLS connections to conversations by the key they prove, and let callers ring."""

    def __init__(
        self,
        context: Context,
        calls: Calls,
        connections: Connections,
        resolver: NameResolver,
    ) -> None:
        self._context = context
        self._trust = context.trust
        self._calls = calls
        self._connections = connections
        self._resolver = resolver
        self._strangers = calls.strangers
        self._dialled: dict[SecurePeerConnection, Deferred[SecurePeerConnection]] = {}
        self._attempts: dict[SecurePeerConnection, Connector] = {}
        self._aliases: set[tuple[str, str]] = set()  # ids of known keys that were reported
        self._warned: dict[str, float] = {}  # id -> monotonic time of the next allowed warning

    def accept(self, plain: PlainPeerConnection, data: bytes) -> None:
        """Accept a caller on our port that begins TLS with `data`."""
        transport = plain.hand_over()
        if not self._trust.own_key:
            self._strangers.left(plain)
            transport.abortConnection()
            return
        connection = self.new(self._trust.handshake(lambda key: None), called=True)
        self._strangers.moved(plain, connection)
        connection.start(transport, data)

    def new(
        self,
        handshake: Any,
        called: bool,
        *,
        tls_server: bool | None = None,
        punch: str = "",
        attempt: Connector | None = None,
    ) -> SecurePeerConnection:
        """Return a new connection that is not connected yet; see `SecurePeerConnection`."""
        clock, limits = self._context.clock, self._context.limits
        connection = SecurePeerConnection(
            self, clock, limits, handshake, called, tls_server=tls_server, punch=punch
        )
        self._connections.add(connection)
        connection.toll = lambda cost: self._connections.toll(connection.key, cost)
        if attempt is not None:
            self._attempts[connection] = attempt
        return connection

    def made(self, connection: SecurePeerConnection) -> Deferred[SecurePeerConnection]:
        """Return a Deferred that fires after TLS's handshake on `connection`; fails with PeerUnreachable."""

        def cancelled(_: Deferred[SecurePeerConnection]) -> None:
            self._dialled.pop(connection, None)
            connection.give_up()

        waiting: Deferred[SecurePeerConnection] = Deferred(cancelled)
        self._dialled[connection] = waiting
        return waiting

    def forget(self, connection: SecurePeerConnection) -> None:
        """Forget a connection that could not be made."""
        self._connections.release(connection)
        self._attempts.pop(connection, None)
        waiting = self._dialled.pop(connection, None)
        if waiting is not None:
            waiting.addErrback(lambda _: None)
            waiting.cancel()
        self._connections.closed()

    # Called by a connection.

    def secure_made(self, connection: SecurePeerConnection) -> None:
        self._strangers.proved(connection, self._trust.knows(connection.key))
        waiting = self._dialled.pop(connection, None)
        if waiting is not None:
            waiting.callback(connection)
        self._connections.obey(connection)

    def secure_called(self, connection: SecurePeerConnection, call: Chat) -> None:
        attempt = self._attempts.get(connection)
        if attempt is not None:
            attempt.chosen(connection)
        ensureDeferred(self._called(connection, call)).addErrback(
            partial(log.failure, "a call could not be judged")
        )

    def secure_answered(self, connection: SecurePeerConnection, answer: ChatAck) -> None:
        conversation = self._connections.carried[connection]
        assert conversation is not None
        if not conversation.named:
            belief = self._trust.believe(answer.client_id, connection.key)
            if belief.worth is Worth.REFUSED:
                self._impostor(connection, answer.client_id, belief)
                conversation.apply(conversation.session.refused(connection, 403))
                return
            conversation.was = conversation.name
            self._claims(conversation, answer.client_id, belief)
        conversation.apply(conversation.session.answered(connection, opening_of(answer)))

    def secure_lost(self, connection: SecurePeerConnection, reason: str) -> None:
        conversation = self._connections.release(connection)
        waiting = self._dialled.pop(connection, None)
        attempt = self._attempts.pop(connection, None)
        self._strangers.left(connection)
        if waiting is not None:
            waiting.errback(PeerUnreachable(reason))
        if attempt is not None:
            attempt.lost(connection)
        if conversation is not None:
            over = conversation.state is SessionState.CLOSED
            conversation.apply(conversation.session.lost(connection, reason))
            if over:
                self._connections.settle(conversation)
        self._connections.closed()

    # Incoming calls.

    async def _called(self, connection: SecurePeerConnection, call: Chat) -> None:
        client_id, key = call.client_id, connection.key
        if key == self._trust.own_key:
            connection.refuse(403)
            return
        belief = self._trust.believe(client_id, key)
        if belief.worth is Worth.CLAIMED and await self._resolver.confirm(client_id, key):
            self._trust.introduce(client_id, key)
            belief = self._trust.believe(client_id, key)
        if connection not in self._connections:
            return  # the connection has ended meanwhile
        if belief.worth is Worth.REFUSED:
            self._impostor(connection, client_id, belief)
            return
        known = self._calls.all.with_recipient(caller(key, OpenPeer(0)))
        if known is not None:
            self._second_call(connection, call, known)
        elif self._calls.ignores(client_id, key):
            connection.refuse(603)
        else:
            self._ring(connection, call, belief)

    def _join(self, connection: SecurePeerConnection, conversation: Conversation) -> bool:
        """Let `connection`, on which the peer called, carry `conversation`, if that is with its key."""
        if not self._connections.join(connection, conversation):
            return False
        self._strangers.left(connection)
        attempt = self._attempts.get(connection)
        if attempt is not None:
            conversation.race = attempt.race  # for /path
        return True

    def _impostor(self, connection: SecurePeerConnection, client_id: str, belief: Belief) -> None:
        assert belief.pin is not None
        connection.refuse(403)
        now = self._context.clock.seconds()
        if now < self._warned.get(client_id, now) or not self._strangers.may_show(connection.key):
            return
        if len(self._warned) >= WARNED:
            self._warned.clear()
        self._warned[client_id] = now + WARN_AGAIN
        accept = f"type /trust {client_id} {connection.key}"
        why = changed_key(belief.pin, self._trust.path, client_id, accept)
        self._context.publish(Failed(why, status=403, command="call", code=why.reason))

    def _second_call(
        self, connection: SecurePeerConnection, call: Chat, known: Conversation
    ) -> None:
        """Handle a call from a peer that we already have a conversation with, perhaps our own call."""
        if not self._join(connection, known):
            return
        known.client_id = known.client_id or call.client_id
        if not self._calls.attach(known):
            connection.refuse(503)
            return
        session = known.session
        before = session.connection
        better = before is not None and before.relayed and not connection.relayed
        known.apply(session.called(connection, opening_of(call), better))

    def _ring(self, connection: SecurePeerConnection, call: Chat, belief: Belief) -> None:
        is_known = belief.worth is Worth.KNOWN
        ringing = self._calls.all.count_ringing(known=is_known)
        if not self._strangers.may_ring(connection.key, connection.host, is_known, ringing):
            connection.refuse(486)
            return
        conversation = self._calls.begin("", BCP2, KeyedPerson(connection.key))
        self._claims(conversation, call.client_id, belief)
        conversation.host, conversation.port = connection.host, connection.port
        conversation.known = is_known
        self._join(connection, conversation)
        taken = {"all": belief.confirmed, "known": is_known, "none": False}
        at_once = taken[self._context.settings.answer]
        self._context.publish(
            IncomingCallEvent(
                conversation.name.removesuffix("?"),
                connection.host,
                connection.port,
                encrypted=True,
                confirmed=belief.confirmed,
                key=connection.key,
                ask=not at_once,
                path="relay" if connection.relayed else None,
            )
        )
        self._calls.ring(
            conversation, conversation.session.called(connection, opening_of(call)), at_once
        )

    def _claims(self, conversation: Conversation, client_id: str, belief: Belief) -> None:
        """Name the peer of `conversation`, which claims `client_id` and has proved a key."""
        wanted = client_id if belief.confirmed else f"{client_id}?"
        self._calls.all.rename(conversation, wanted, named=True)
        conversation.client_id = client_id
        assert conversation.key is not None
        if not self._trust.knows(conversation.key):
            conversation.pins = client_id if belief.confirmed else None
        elif client_id not in self._trust.ids_of(conversation.key):
            if self._trust.was_introduced(client_id, conversation.key):
                conversation.pins = client_id  # so that the peer can be called by this id
            if (client_id, conversation.key) not in self._aliases:
                if len(self._aliases) >= WARNED:
                    self._aliases.clear()
                self._aliases.add((client_id, conversation.key))
                self._context.publish(Notice(f"{conversation.name} calls under the id {client_id}"))
        elif self._trust.was_introduced(client_id, conversation.key):
            conversation.pins = client_id  # at this server as well
