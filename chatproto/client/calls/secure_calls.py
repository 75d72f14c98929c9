"""Begin and end calls on secure connections: callers, their ids, the conversation they belong to.

Messages of a conversation do not come here: its connection hands them to its session.
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
"""Seconds between two warnings of a wrong key for one id: a stranger could fill the screen else."""
WARNED = 1000
"""Ids of which that is remembered."""


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
        self._aliases: set[tuple[str, str]] = set()  # ids of known keys that were told
        self._warned: dict[str, float] = {}  # when somebody may be warned of again

    def accept(self, plain: PlainPeerConnection, data: bytes) -> None:
        """A caller on our port begins TLS with `data`."""
        transport = plain.hand_over()
        if not self._trust.own_key:
            self._strangers.left(plain)
            transport.abortConnection()
            return
        link = self.new(self._trust.handshake(lambda key: None), called=True)
        self._strangers.moved(plain, link)
        link.start(transport, data)

    def new(
        self,
        handshake: Any,
        called: bool,
        *,
        tls_server: bool | None = None,
        punch: str = "",
        attempt: Connector | None = None,
    ) -> SecurePeerConnection:
        """A link that is about to be connected; see `SecurePeerConnection`."""
        clock, limits = self._context.clock, self._context.limits
        link = SecurePeerConnection(
            self, clock, limits, handshake, called, tls_server=tls_server, punch=punch
        )
        self._connections.add(link)
        link.toll = lambda cost: self._connections.toll(link.key, cost)
        if attempt is not None:
            self._attempts[link] = attempt
        return link

    def made(self, link: SecurePeerConnection) -> Deferred[SecurePeerConnection]:
        """Fires when TLS stands on a connection that we make; fails with Unreachable."""

        def cancelled(_: Deferred[SecurePeerConnection]) -> None:
            self._dialled.pop(link, None)
            link.give_up()

        waiting: Deferred[SecurePeerConnection] = Deferred(cancelled)
        self._dialled[link] = waiting
        return waiting

    def forget(self, link: SecurePeerConnection) -> None:
        """A connection that was not to be had."""
        self._connections.let_go(link)
        self._attempts.pop(link, None)
        waiting = self._dialled.pop(link, None)
        if waiting is not None:
            waiting.addErrback(lambda _: None)
            waiting.cancel()
        self._connections.closed()

    # What a link tells.

    def secure_made(self, link: SecurePeerConnection) -> None:
        self._strangers.proved(link, self._trust.knows(link.key))
        waiting = self._dialled.pop(link, None)
        if waiting is not None:
            waiting.callback(link)
        self._connections.obey(link)

    def secure_called(self, link: SecurePeerConnection, call: Chat) -> None:
        attempt = self._attempts.get(link)
        if attempt is not None:
            attempt.chosen(link)
        ensureDeferred(self._called(link, call)).addErrback(
            partial(log.failure, "a call could not be judged")
        )

    def secure_answered(self, link: SecurePeerConnection, answer: ChatAck) -> None:
        conversation = self._connections.carried[link]
        assert conversation is not None
        if not conversation.named:
            belief = self._trust.believe(answer.client_id, link.key)
            if belief.worth is Worth.REFUSED:
                self._impostor(link, answer.client_id, belief)
                conversation.perform(conversation.session.refused(link, 403))
                return
            conversation.was = conversation.name
            self._claims(conversation, answer.client_id, belief)
        conversation.perform(conversation.session.answered(link, opening_of(answer)))

    def secure_lost(self, link: SecurePeerConnection, reason: str) -> None:
        conversation = self._connections.let_go(link)
        waiting = self._dialled.pop(link, None)
        attempt = self._attempts.pop(link, None)
        self._strangers.left(link)
        if waiting is not None:
            waiting.errback(PeerUnreachable(reason))
        if attempt is not None:
            attempt.lost(link)
        if conversation is not None:
            over = conversation.state is SessionState.CLOSED
            conversation.perform(conversation.session.lost(link, reason))
            if over:
                self._connections.settle(conversation)
        self._connections.closed()

    # Being called.

    async def _called(self, link: SecurePeerConnection, call: Chat) -> None:
        client_id, key = call.client_id, link.key
        if key == self._trust.own_key:
            link.refuse(403)
            return
        belief = self._trust.believe(client_id, key)
        if belief.worth is Worth.CLAIMED and await self._resolver.confirm(client_id, key):
            self._trust.introduce(client_id, key)
            belief = self._trust.believe(client_id, key)
        if link not in self._connections:
            return  # it has gone meanwhile
        if belief.worth is Worth.REFUSED:
            self._impostor(link, client_id, belief)
            return
        known = self._calls.all.with_recipient(caller(key, OpenPeer(0)))
        if known is not None:
            self._goes_on(link, call, known)
        elif self._calls.ignores(client_id, key):
            link.refuse(603)
        else:
            self._ring(link, call, belief)

    def _join(self, link: SecurePeerConnection, conversation: Conversation) -> bool:
        """Let `link`, on which the peer called, carry `conversation`, if that is with its key."""
        if not self._connections.join(link, conversation):
            return False
        self._strangers.left(link)
        attempt = self._attempts.get(link)
        if attempt is not None:
            conversation.race = attempt.race  # for /path
        return True

    def _impostor(self, link: SecurePeerConnection, client_id: str, belief: Belief) -> None:
        assert belief.pin is not None
        link.refuse(403)
        now = self._context.clock.seconds()
        if now < self._warned.get(client_id, now) or not self._strangers.may_show(link.key):
            return
        if len(self._warned) >= WARNED:
            self._warned.clear()
        self._warned[client_id] = now + WARN_AGAIN
        accept = f"type /trust {client_id} {link.key}"
        why = changed_key(belief.pin, self._trust.where, client_id, accept)
        self._context.publish(Failed(why, status=403, command="call", code=why.reason))

    def _goes_on(self, link: SecurePeerConnection, call: Chat, known: Conversation) -> None:
        """Handle a call while there is a conversation with the peer already, perhaps our own call."""
        if not self._join(link, known):
            return
        known.client_id = known.client_id or call.client_id
        if not self._calls.attach(known):
            link.refuse(503)
            return
        session = known.session
        before = session.connection
        better = before is not None and before.relayed and not link.relayed
        known.perform(session.called(link, opening_of(call), better))

    def _ring(self, link: SecurePeerConnection, call: Chat, belief: Belief) -> None:
        is_known = belief.worth is Worth.KNOWN
        ringing = self._calls.all.count_ringing(known=is_known)
        if not self._strangers.may_ring(link.key, link.host, is_known, ringing):
            link.refuse(486)
            return
        conversation = self._calls.begin("", BCP2, KeyedPerson(link.key))
        self._claims(conversation, call.client_id, belief)
        conversation.host, conversation.port = link.host, link.port
        conversation.known = is_known
        self._join(link, conversation)
        taken = {"all": belief.confirmed, "known": is_known, "none": False}
        at_once = taken[self._context.settings.answer]
        self._context.publish(
            IncomingCallEvent(
                conversation.name.removesuffix("?"),
                link.host,
                link.port,
                encrypted=True,
                confirmed=belief.confirmed,
                key=link.key,
                ask=not at_once,
                path="relay" if link.relayed else None,
            )
        )
        self._calls.ring(conversation, conversation.session.called(link, opening_of(call)), at_once)

    def _claims(self, conversation: Conversation, client_id: str, belief: Belief) -> None:
        """Name the one of `conversation`, who claims `client_id` and has proved a key."""
        wanted = client_id if belief.confirmed else f"{client_id}?"
        self._calls.all.rename(conversation, wanted, named=True)
        conversation.client_id = client_id
        assert conversation.key is not None
        if not self._trust.knows(conversation.key):
            conversation.pins = client_id if belief.confirmed else None
        elif client_id not in self._trust.ids_of(conversation.key):
            if self._trust.was_introduced(client_id, conversation.key):
                conversation.pins = client_id  # so that they can be called here
            if (client_id, conversation.key) not in self._aliases:
                if len(self._aliases) >= WARNED:
                    self._aliases.clear()
                self._aliases.add((client_id, conversation.key))
                self._context.publish(Notice(f"{conversation.name} calls under the id {client_id}"))
        elif self._trust.was_introduced(client_id, conversation.key):
            conversation.pins = client_id  # at this server as well
