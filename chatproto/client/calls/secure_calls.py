"""Handle events of secure connections: callers, their ids, and the conversation they belong to."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatproto.client.calls.dialer import PeerUnreachable
from chatproto.client.conversation import Conversation
from chatproto.client.conversations import Conversations
from chatproto.client.events import Event, Failed, IncomingCallEvent, Notice
from chatproto.client.settings import ClientSettings
from chatproto.client.strangers import Strangers
from chatproto.client.trust_store import TrustStore
from chatproto.identity.recipient import KeyedPerson, OpenPeer, Recipient, caller
from chatproto.identity.trust import Belief, Worth, changed_key
from chatproto.session.effects import Drop, Opening
from chatproto.session.ledger import LedgerTrouble, StreamEntry
from chatproto.session.peer_messages import (
    AboutFiles,
    Alive,
    Answered,
    Arrived,
    Called,
    CallRefused,
    EntryReceived,
    PeerEvent,
    PeerLeft,
)
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.bcp2_common import Address, Bcp2Message
from chatproto.wire.dialects import BCP2, Capabilities
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import Reason

log = Logger()

WARN_AGAIN = 60.0
"""Seconds between two warnings of a wrong key for one id: a stranger could fill the screen else."""
WARNED = 1000
"""Ids of which that is remembered."""


class ConnectionPurpose(Protocol):
    """Purpose that a connection was made for."""

    @property
    def reasons(self) -> dict[Address | None, str]: ...
    def chosen(self, link: SecurePeerConnection) -> None: ...
    def lost(self, link: SecurePeerConnection) -> None: ...


class SecureCallsOwner(Protocol):
    """Parts of the calls that secure connections use."""

    all: Conversations

    @property
    def settings(self) -> ClientSettings: ...
    @property
    def limits(self) -> ClientLimits: ...
    @property
    def acquaintances(self) -> TrustStore | None: ...
    def tell(self, event: Event) -> None: ...
    def ignores(self, client_id: str, key: str | None = None) -> bool: ...
    def begin(
        self, name: str, manner: Capabilities, recipient: Recipient | None = None
    ) -> Conversation: ...
    def join(self, link: SecurePeerConnection, conversation: Conversation) -> bool: ...
    @property
    def strangers(self) -> Strangers: ...
    def toll(self, key: str, cost: int) -> float: ...
    def link_closed(self) -> None: ...
    def link_free(self, conversation: Conversation) -> None: ...
    def attach(self, conversation: Conversation) -> None: ...
    def take(self, conversation: Conversation) -> None: ...
    def about_files(self, conversation: Conversation, message: Bcp2Message) -> None: ...
    async def confirm(self, client_id: str, key: str) -> bool: ...


class SecureCalls:
    """Every TLS connection to a person, and the conversation that it belongs to, once that is known."""

    def __init__(self, calls: SecureCallsOwner, reactor: IReactorTime) -> None:
        self._calls = calls
        self._reactor = reactor
        self._links: dict[SecurePeerConnection, Conversation | None] = {}
        self._dialled: dict[SecurePeerConnection, Deferred[SecurePeerConnection]] = {}
        self._meetings: dict[
            SecurePeerConnection, ConnectionPurpose
        ] = {}  # what they were made for
        self._held = False
        self._aliases: set[tuple[str, str]] = set()  # ids of known keys that were told
        self._warned: dict[str, float] = {}  # when somebody may be warned of again

    def __len__(self) -> int:
        return len(self._links)

    def accept(self, plain: PlainPeerConnection, data: bytes) -> None:
        """A caller on our port begins TLS with `data`."""
        transport = plain.hand_over()
        acquaintances = self._calls.acquaintances
        if acquaintances is None:
            self._calls.strangers.left(plain)
            transport.abortConnection()
            return
        link = self.new(acquaintances.handshake(lambda key: None), called=True)
        self._calls.strangers.moved(plain, link)
        link.start(transport, data)

    def new(
        self,
        handshake: Any,
        called: bool,
        *,
        tls_server: bool | None = None,
        punch: str = "",
        meeting: ConnectionPurpose | None = None,
    ) -> SecurePeerConnection:
        """A link that is about to be connected; see `SecurePeerConnection`."""
        clock, limits = self._reactor, self._calls.limits
        link = SecurePeerConnection(
            self, clock, limits, handshake, called, tls_server=tls_server, punch=punch
        )
        self._links[link] = None
        link.toll = lambda cost: self._calls.toll(link.key, cost)
        if meeting is not None:
            self._meetings[link] = meeting
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
        self._links.pop(link, None)
        self._meetings.pop(link, None)
        waiting = self._dialled.pop(link, None)
        if waiting is not None:
            waiting.addErrback(lambda _: None)
            waiting.cancel()
        self._calls.link_closed()

    def carry(self, link: SecurePeerConnection, conversation: Conversation) -> None:
        """Remember that `link` carries `conversation`; only `Calls.join` decides that."""
        self._links[link] = conversation

    def hold(self, held: bool) -> None:
        """Read nothing from anybody while the screen takes no more; go on when it does again."""
        self._held = held
        for link in self._links:
            link.hold(held)

    def drop_strangers(self) -> None:
        """Close what belongs to no conversation."""
        for link, conversation in tuple(self._links.items()):
            if conversation is None:
                link.drop()

    # What a link tells.

    def secure_made(self, link: SecurePeerConnection) -> None:
        known = self._calls.acquaintances
        self._calls.strangers.proved(link, known is not None and known.knows(link.key))
        waiting = self._dialled.pop(link, None)
        if waiting is not None:
            waiting.callback(link)
        if self._held:
            link.hold(True)

    def secure_heard(self, link: SecurePeerConnection, news: PeerEvent) -> None:
        conversation = self._links.get(link)
        if isinstance(news, Called) and conversation is None:
            if link.called:
                meeting = self._meetings.get(link)
                if meeting is not None:
                    meeting.chosen(link)
                ensureDeferred(self._called(link, news)).addErrback(_log)
        elif conversation is not None:
            try:
                self._told(conversation, link, news)
            except LedgerTrouble as error:
                self._broke(conversation, error)

    def _told(
        self, conversation: Conversation, link: SecurePeerConnection, news: PeerEvent
    ) -> None:
        session = conversation.session
        match news:
            case Called(_, opening):
                conversation.perform(session.crossed(link, opening))
            case Answered(client_id, opening):
                self._answered(conversation, link, client_id, opening)
            case CallRefused(status):
                conversation.perform(session.refused(link, status))
            case EntryReceived(entry):
                conversation.perform(session.heard(link, entry))
            case Arrived(number):
                conversation.perform(session.arrived(number))
            case AboutFiles(message):
                if link is session.connection:
                    self._calls.about_files(conversation, message)
            case Alive():
                conversation.perform(session.alive(link))
            case PeerLeft():
                conversation.perform(session.left(link))

    def _broke(self, conversation: Conversation, error: LedgerTrouble) -> None:
        """Leave a conversation whose messages cannot be stored, so that they stay with their sender."""
        self._calls.tell(Failed(str(error), command="log", code=error.reason))
        if conversation.state in (SessionState.OPEN, SessionState.BROKEN):
            carried = conversation.session.connections  # to leave forgets them, even if it fails
            try:
                effects = conversation.session.leave()
            except LedgerTrouble:
                effects = [Drop(link) for link in carried]
            conversation.perform(effects)

    def secure_spoke(self, link: SecurePeerConnection, entry: StreamEntry) -> bool:
        conversation = self._links.get(link)
        return conversation is not None and conversation.writes(entry)

    def secure_lost(self, link: SecurePeerConnection, reason: str) -> None:
        conversation = self._links.pop(link, None)
        waiting = self._dialled.pop(link, None)
        meeting = self._meetings.pop(link, None)
        self._calls.strangers.left(link)
        if waiting is not None:
            waiting.errback(PeerUnreachable(reason))
        if meeting is not None:
            meeting.lost(link)
        if conversation is not None:
            over = conversation.state is SessionState.CLOSED
            conversation.perform(conversation.session.lost(link, reason))
            if over and not self.carries(conversation):
                self._calls.link_free(conversation)
        self._calls.link_closed()

    def carries(self, conversation: Conversation) -> bool:
        """Return True while a connection belongs to `conversation`."""
        return conversation in self._links.values()

    # Being called.

    async def _called(self, link: SecurePeerConnection, call: Called) -> None:
        acquaintances = self._calls.acquaintances
        assert acquaintances is not None
        client_id, key = call.client_id, link.key
        if key == acquaintances.own_key:
            link.refuse(403)
            return
        belief = acquaintances.believe(client_id, key)
        if belief.worth is Worth.CLAIMED and await self._calls.confirm(client_id, key):
            acquaintances.introduce(client_id, key)
            belief = acquaintances.believe(client_id, key)
        if link not in self._links:
            return  # it has gone meanwhile
        if belief.worth is Worth.REFUSED:
            self._impostor(link, client_id, belief)
            return
        known = self._calls.all.with_recipient(caller(key, OpenPeer(0)))
        if known is not None:
            self._goes_on(link, call, known)
        elif self._calls.ignores(client_id, key):
            link.refuse(603)
        elif not self._may_ring(link, belief.worth is Worth.KNOWN):
            link.refuse(486)
        else:
            self._ring(link, call, belief)

    def _may_ring(self, link: SecurePeerConnection, known: bool) -> bool:
        """Return True if there is a place for one more call that rings, of somebody `known` or not."""
        everybody = self._calls.all
        ringing = everybody.known_ringing() if known else everybody.strangers_ringing()
        return self._calls.strangers.may_ring(link.key, link.host, known, ringing)

    def _impostor(self, link: SecurePeerConnection, client_id: str, belief: Belief) -> None:
        acquaintances = self._calls.acquaintances
        assert acquaintances is not None and belief.pin is not None
        link.refuse(403)
        now = self._reactor.seconds()
        if now < self._warned.get(client_id, now) or not self._calls.strangers.may_show(link.key):
            return
        if len(self._warned) >= WARNED:
            self._warned.clear()
        self._warned[client_id] = now + WARN_AGAIN
        accept = f"/trust {client_id} {link.key}"
        for line in changed_key(belief.pin, link.key, acquaintances.where, client_id, accept):
            self._calls.tell(Failed(line, status=403, command="call", code=Reason.OTHER_KEY))

    def _goes_on(self, link: SecurePeerConnection, call: Called, known: Conversation) -> None:
        """Handle a call while there is a conversation with the peer already, perhaps our own call."""
        if not self._calls.join(link, known):
            return
        self._calls.strangers.left(link)
        known.client_id = known.client_id or call.client_id
        self._calls.attach(known)
        session = known.session
        before = session.connection
        better = before is not None and before.relayed and not link.relayed
        known.met(self._meetings.get(link))
        known.perform(session.called(link, call.opening, better))

    def _ring(self, link: SecurePeerConnection, call: Called, belief: Belief) -> None:
        acquaintances = self._calls.acquaintances
        assert acquaintances is not None
        settings = self._calls.settings
        conversation = self._calls.begin("", BCP2, KeyedPerson(link.key))
        self._claims(conversation, call.client_id, belief)
        conversation.host, conversation.port = link.host, link.port
        conversation.known = belief.worth is Worth.KNOWN
        self._calls.join(link, conversation)
        self._calls.strangers.left(link)
        conversation.met(self._meetings.get(link))
        at_once = {
            "all": belief.confirmed,
            "known": belief.worth is Worth.KNOWN,
            "none": False,
        }[settings.answer]
        self._calls.tell(
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
        effects = conversation.session.called(link, call.opening)
        if not at_once:
            conversation.perform(effects)
            return
        if self._calls.all.vacant:
            self._calls.all.move_to(conversation)
        self._calls.take(conversation)

    def _claims(self, conversation: Conversation, client_id: str, belief: Belief) -> None:
        """Name the one of `conversation`, who claims `client_id` and has proved a key."""
        wanted = client_id if belief.confirmed else f"{client_id}?"
        self._calls.all.rename(conversation, wanted, named=True)
        conversation.client_id = client_id
        acquaintances = self._calls.acquaintances
        assert acquaintances is not None and conversation.key is not None
        if not acquaintances.knows(conversation.key):
            conversation.pins = client_id if belief.confirmed else None
        elif client_id not in acquaintances.ids_of(conversation.key):
            if acquaintances.was_introduced(client_id, conversation.key):
                conversation.pins = client_id  # so that they can be called here
            if (client_id, conversation.key) not in self._aliases:
                if len(self._aliases) >= WARNED:
                    self._aliases.clear()
                self._aliases.add((client_id, conversation.key))
                self._calls.tell(Notice(f"{conversation.name} calls under the id {client_id}"))
        elif acquaintances.was_introduced(client_id, conversation.key):
            conversation.pins = client_id  # at this server as well

    # Calling.

    def _answered(
        self,
        conversation: Conversation,
        link: SecurePeerConnection,
        client_id: str,
        opening: Opening,
    ) -> None:
        acquaintances = self._calls.acquaintances
        assert acquaintances is not None
        if not conversation.named:
            belief = acquaintances.believe(client_id, link.key)
            if belief.worth is Worth.REFUSED:
                self._impostor(link, client_id, belief)
                conversation.perform(conversation.session.refused(link, 403))
                return
            self._claims(conversation, client_id, belief)
        conversation.perform(conversation.session.answered(link, opening))


def _log(failure: Any) -> None:
    log.failure("a call could not be judged", failure=failure)
