"""Every conversation with a person, and what carries it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from chatproto.client.address_book import AddressBook
from chatproto.client.calls.dialer import Dialer, PeerUnreachable
from chatproto.client.calls.plain_calls import PlainCalls
from chatproto.client.calls.rendezvous import Rendezvous, ServerAnswers
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.calls.secure_dialer import Redials, SecureDialer
from chatproto.client.context import Context, Signal
from chatproto.client.conversation import Conversation
from chatproto.client.conversations import AwayContact, Conversations, Target
from chatproto.client.events import Event, Failed, Notice, SessionChanged
from chatproto.client.files import Files
from chatproto.client.name_resolver import NameResolver
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.requests import Requests
from chatproto.client.server.server_news import ServerEvents
from chatproto.client.strangers import Strangers
from chatproto.client.trust_store import TrustStore
from chatproto.identity.pins import PinTrouble
from chatproto.identity.recipient import FirstContact, KeyedPerson, Mismatch, Recipient, carried
from chatproto.net.clock import Wall
from chatproto.session.delivery import Delivery
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.session import PeerSession
from chatproto.session.state import SessionState
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.dialects import Capabilities, Dialect, Me
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import Reason, reason_of

log = Logger()
FULL_LOG = 1.0
"""Seconds after which is looked again whether the person has read what fills the log."""

REFUSED = frozenset({Reason.DECLINED, Reason.REFUSED})
"""Ends of calls after which nothing more is queued for the contact."""


class Calls:
    """Begins conversations and forgets them; `links` and `secure` are how they are carried, in the open
    and inside TLS.
    """

    def __init__(
        self,
        context: Context,
        trust: TrustStore | None,
        people: AddressBook,
        place: OwnAddresses,
        conversations: Conversations,
        strangers: Strangers,
        requests: Requests,
        resolver: NameResolver,
        answers: ServerAnswers,
        events: ServerEvents,
        posts: OutboundStreams | None,
        files: Files | None,
    ) -> None:
        self.shown: Signal[int] = Signal()
        """The text of this line of the log was shown."""
        self.over: Signal[tuple[Delivery, bool]] = Signal()
        """A conversation with this delivery has ended; True: nothing of it was shown."""
        self.talked: Signal[Conversation] = Signal()
        """A conversation in plain text went both ways, and has ended."""
        self.left: Signal[None] = Signal()
        """A peer has left a conversation in plain text in which nothing waited to be sent."""
        self.acquaintances = trust
        self.people = people
        self.here = place
        self.settings = context.settings
        self.limits = context.limits
        self.all = conversations
        self.names = conversations.names
        self.strangers = strangers
        self.ignored: set[str] = set()  # ids of peers in plain text, for this run
        self._context = context
        self._requests = requests
        self._resolver = resolver
        self._posts = posts
        self._files = files
        reactor = context.clock
        self.links = PlainCalls(self)
        self.secure = SecureCalls(self, reactor)
        self._reactor = context.clock
        self.dialer = Dialer(reactor, context.limits, lambda: place.own_port)
        self.meetings = RendezvousTable(self, answers, self.dialer, reactor)
        self.secure_dialer = SecureDialer(self, reactor)
        self._redials = Redials(self, self.secure_dialer, reactor, context.random)
        self.leaving = False
        self._all_closed: Callable[[], None] | None = None
        conversations.moved.listen(self._tell_target)
        events.came.listen(self._came)
        events.introduced.listen(self.meetings.introduced)

    # What others need of it.

    def talks_with(self, key: str) -> bool:
        """Return True if there is a conversation with the owner of `key`."""
        return any(one.key == key for one in self.all)

    def now(self) -> Wall:
        """Seconds since the epoch."""
        return self._context.now()

    def take(self, conversation: Conversation) -> None:
        """Take the call of `conversation`."""
        self.attach(conversation)
        conversation.perform(conversation.session.accept())

    @property
    def me(self) -> Me:
        """Own id and address, as openers tell them."""
        return self.here.me

    async def introduce_again(self, conversation: Conversation) -> Rendezvous | None:
        """Ask the server once more for the one of `conversation`, if it is open on a connection."""
        if conversation.state is not SessionState.OPEN or conversation.key is None:
            return None
        await self.whereabouts(conversation.id, conversation.key)
        if conversation.state is not SessionState.OPEN:
            return None
        return self.meetings.answers.take(conversation.key)

    @property
    def current(self) -> Conversation | None:
        """Current conversation, or None."""
        return self.all.current

    def tell(self, event: Event) -> None:
        """News for the person."""
        self._context.publish(event)

    def security(self, key: str) -> str:
        """`verified` or `encrypted`."""
        known = self.acquaintances
        return known.security(key) if known is not None else "encrypted"

    def pin(self, conversation: Conversation) -> None:
        """Keep that `conversation.pins` has its key."""
        known, client_id, key = self.acquaintances, conversation.pins, conversation.key
        if known is None or client_id is None or key is None:
            return
        try:
            known.pin(client_id, key, conversation.chosen)
        except PinTrouble as error:
            self.tell(Failed(str(error), code=error.reason))
        self.names_changed()

    def ignores(self, client_id: str, key: str | None = None) -> bool:
        """Return True if calls from `key` under `client_id` are ignored."""
        known = self.acquaintances
        if key is None and client_id in self.ignored:
            return True
        return known is not None and known.ignores(client_id, key)

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
        """Pins have changed: give each conversation whose name means somebody else now another."""
        for one in self.all:
            if self._means(one.name, one.recipient):
                continue
            before = one.name
            self.all.rename(one, one.called, named=one.named)
            if one.name != before and not one.quiet:
                self.tell(Notice(f"{before} is called {one.name} now, for the name is another's"))

    def _means(self, name: str, recipient: Recipient) -> bool:
        try:
            return self.names.resolve(name) == recipient
        except LocalError:
            return False

    async def confirm(self, client_id: str, key: str) -> bool:
        """Return True if the server says that `client_id` has `key`."""
        return await self._resolver.confirm(client_id, key)

    def toll(self, key: str, cost: int) -> float:
        """Take what messages of `key` cost; return the seconds for which nothing more is read."""
        wait, posts = self.strangers.toll(key, cost), self._posts
        if posts is None:
            return wait
        name = next((one.name for one in self.all if one.key == key), key)
        if posts.ledger.was_thinned(key):
            most = f"{self.limits.person_log // 2**20} MiB"
            self.tell(Notice(f"your log holds {most} of {name}: their oldest messages are removed"))
        return max(wait, FULL_LOG) if posts.ledger.is_full(key) else wait

    def counters(self) -> dict[str, int]:
        """Return what strangers hold, and what was refused to them."""
        ringing = self.all.strangers_ringing()
        return {**self.strangers.counters(), "ringing": ringing, "meetings": len(self.meetings)}

    def begin(
        self, name: str, manner: Capabilities, recipient: Recipient | None = None
    ) -> Conversation:
        """Begin a conversation with `recipient`; without one it is an open peer of its own.

        It is called `name`, or, where that means somebody else, as `NameBook.name_for` says.
        """
        limits, half = self.limits, self.settings.half_duplex
        session = PeerSession(manner, half=half, limits=limits)
        conversation = self.all.begin(
            lambda number: Conversation(self, self._reactor, limits, session, name, number)
        )
        if recipient is not None:
            conversation.recipient = recipient
            conversation.client_id = self._client_id_of(recipient)
        if name:
            self.all.rename(conversation, name, named=False)
        return conversation

    def _client_id_of(self, recipient: Recipient) -> str:
        """Return the id of `recipient` at the server, if it is known."""
        known = self.acquaintances
        match recipient:
            case FirstContact(_, client_id):
                return client_id
            case KeyedPerson(key) if known is not None:
                return next(iter(known.ids_of(key)), "")
        return ""

    def attach(self, conversation: Conversation) -> None:
        """Keep what is said in `conversation`, whose key is known, from now on."""
        session, posts, key = conversation.session, self._posts, conversation.key
        if key is not None and session.dialect.numbered and session.post is None:
            assert posts is not None
            post = posts.of(key, conversation.name)
            conversation.will_tell_of(post)
            conversation.perform(session.attach(post, self._context.now()))

    def join(
        self, link: PlainPeerConnection | SecurePeerConnection, conversation: Conversation
    ) -> bool:
        """Let `link` carry `conversation`, if it is for whoever is at the other end.

        Every connection that carries a conversation comes through here. Else `link` is dropped, and
        False returned.
        """
        key = link.key if isinstance(link, SecurePeerConnection) else None
        try:
            recipient = carried(conversation.recipient, key, conversation.open_peer)
        except Mismatch as wrong:
            log.warn("{name}: {wrong}", name=conversation.name, wrong=wrong)
            link.drop()
            return False
        conversation.recipient = recipient
        if isinstance(link, SecurePeerConnection):
            self.secure.carry(link, conversation)
        else:
            self.links.carry(link, conversation)
        return True

    def belongs(self, link: SecurePeerConnection, conversation: Conversation) -> bool:
        """Join `link`, which we made, to `conversation`, and keep what is said there."""
        if not self.join(link, conversation):
            return False
        self.attach(conversation)
        return True

    def redial(self, conversation: Conversation, failed: bool) -> None:
        """Make another connection for it."""
        self._redials.later(conversation, failed)

    def _came(self, name: str) -> None:
        """Redial or ask again, because a peer is back online."""
        for one in self.all:
            if one.id == name and one.state is SessionState.BROKEN:
                self._redials.now(one)
            elif one.id == name and one.state is SessionState.CALLING and one.ask_again is not None:
                one.ask_again()

    async def whereabouts(self, client_id: str, key: str | None) -> Contact | None:
        """Ask the server for the peer's address; None if it does not know."""
        return await self._requests.then(lambda: self._resolver.whereabouts(client_id, key))

    def conversation_ended(self, conversation: Conversation, reason: str) -> None:
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
            self.tell(Notice(f"still there: {names} (/switch)"))
        if not self.secure.carries(conversation):
            self.link_free(conversation)
        self._context.settled(None)

    def _may_queue(self, conversation: Conversation, reason: str) -> bool:
        """Return True if a call failed, but not by their word, to somebody whose key is pinned."""
        refused = reason_of(reason) in REFUSED
        return not conversation.was_open and not refused and self.lasts(conversation)

    def queue_for(self, key: str) -> None:
        """Queue what is typed next for the owner of `key`, until there is a conversation with them."""
        target = AwayContact(KeyedPerson(key), self.name_of(key))
        if not self.all.move_to(target):
            self._tell_target(target)

    def _tell_target(self, target: Target) -> None:
        """Say where the next line goes."""
        match target:
            case Conversation():
                target.quiet = False
                target.show(current=True)
            case AwayContact(_, name):
                self.tell(SessionChanged(name, "closed", current=True))

    def carried(self, conversation: Conversation) -> None:
        """Attach the peer's files to an open secure connection, or detach them."""
        files, session = self._files, conversation.session
        if files is None or conversation.key is None:
            return
        person = files.of(conversation.key, conversation.name)
        if session.state is SessionState.OPEN and session.connection is not None:
            person.opened(session.connection)
        else:
            person.closed()

    def about_files(self, conversation: Conversation, message: Bcp2Message) -> None:
        """Handle a message about files."""
        if self._files is not None and conversation.key is not None:
            self._files.of(conversation.key, conversation.name).heard(message)

    def lasts(self, conversation: Conversation) -> bool:
        """Return True if messages outlive the conversation: the key of its recipient is pinned."""
        known = self.acquaintances
        return known is not None and conversation.key is not None and known.knows(conversation.key)

    def link_free(self, conversation: Conversation) -> None:
        """Settle undelivered messages of a conversation that has ended and has no connection."""
        session = conversation.session
        if session.post is not None:
            self.over((session.post, conversation.quiet))

    async def dial_alone(self, conversation: Conversation) -> PlainPeerConnection:
        """A new connection to them, for one message. Raises Unreachable."""
        contact = conversation.contact
        host, port = conversation.host, conversation.port
        if contact is None and port is None:
            contact = await self._requests.then(lambda: self._resolver.locate(conversation.id))
        if contact is not None:
            host, port = contact.host, contact.port
        if host is None or port is None:
            raise PeerUnreachable(
                f"no address for {conversation.name}: /bridge or /info may tell it",
                Reason.NO_ADDRESS,
            )
        dialect = conversation.session.dialect
        assert isinstance(dialect, Dialect)
        link = await self.dialer.dial(self.links, host, port, dialect)
        if not self.join(link, conversation):
            raise PeerUnreachable(
                f"{conversation.name} is not spoken to in plain text", Reason.NOT_THEIRS
            )
        return link

    def written(self) -> None:
        """A message of ours went out."""
        self._context.settled(None)

    def leave_all(self, done: Callable[[], None]) -> None:
        """Leave every conversation; call `done` when all links are closed, or after `exit_wait`."""
        self.leaving = True
        for conversation in self.all:
            conversation.perform(conversation.session.leave())
        self.meetings.stop()
        self.strangers.stop()
        self.links.drop_strangers()
        self.secure.drop_strangers()
        late = self._reactor.callLater(self.limits.exit_wait, lambda: finish())

        def finish() -> None:
            self._all_closed = None
            if late.active():
                late.cancel()
            done()

        self._all_closed = finish
        self.link_closed()

    def link_closed(self) -> None:
        """A connection has ended."""
        if self._all_closed is not None and not len(self.links) and not len(self.secure):
            self._all_closed()

    def hold(self, held: bool) -> None:
        """Read nothing from anybody while the screen takes no more; go on when it does again."""
        self.links.hold(held)
        self.secure.hold(held)
