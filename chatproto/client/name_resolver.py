"""Resolve names to recipients, with their addresses and keys."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.client.calls.rendezvous import Rendezvous, ServerAnswers
from chatproto.client.context import Context, Signal
from chatproto.client.conversation import Conversation
from chatproto.client.conversations import Conversations
from chatproto.client.events import Notice, PresenceChanged
from chatproto.client.nearby import Neighbours
from chatproto.client.server.introducers import Introducer
from chatproto.client.server.server_news import ServerEvents
from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.identity.recipient import (
    Dialled,
    FirstContact,
    KeyedPerson,
    Mismatch,
    Recipient,
    answered,
)
from chatproto.identity.trust import changed_key
from chatproto.session.state import SessionState
from chatproto.wire import reasons
from chatproto.wire.dialects import DIALECTS, Dialect
from chatproto.wire.fields import Contact, host_port
from chatproto.wire.reasons import CodedError, Reason

log = Logger()

AWAY = 480
CONFIRMATIONS, MINUTE = 2, 60.0
MOST_WARNED = 1000
"""Most stored warnings of another client under a known id, so that each is shown once."""
MOST_WATCHED = 256
"""Most contacts whose later /away texts are shown; the oldest is removed."""

MOST_FOLLOWED = 100
"""Most contacts that are followed at the server without a call; it allows 256 per client."""

BRIDGE_REFUSED = {403: reasons.BRIDGE_TO_YOURSELF, 404: reasons.SERVER_KNOWS_NOBODY}
"""Sentences for the refusals of BRIDGE, by status."""


class NameResolver:
    """Resolve names through the server and stored contacts; methods raise CodedError."""

    def __init__(
        self,
        context: Context,
        conversations: Conversations,
        answers: ServerAnswers,
        server: Introducer | None,
        events: ServerEvents,
        neighbours: Neighbours | None,
    ) -> None:
        self.elsewhere: Signal[str] = Signal()
        """Fires with a key: at the server, another client has its id."""
        self._context = context
        self._trust = context.trust
        self._address_book = context.address_book
        self._names = conversations.names
        self._answers = answers
        self._server = server
        self._neighbours = neighbours
        self._expected: dict[str, str] = {}  # names of called contacts that were away, by id
        self._watched: dict[str, tuple[str, str]] = {}  # name and last /away text, by id
        self._followed: dict[str, None] = {}  # the watched ids of conversations and queued messages
        events.contact_online.listen(self._contact_online)
        self._confirmed: deque[float] = deque()
        self._warned: set[str] = set()

    @property
    def introducer(self) -> Introducer:
        """Server. Raises CodedError if there is none."""
        if self._server is None:
            raise CodedError(reasons.SERVERLESS())
        return self._server

    async def ask_for(self, peer: str) -> Contact | None:
        """Send BRIDGE for `peer`; the answer is stored, and confirms the id for a minute."""
        try:
            callee = await self.introducer.bridge(peer)
        except ServerRefused as error:
            says = BRIDGE_REFUSED.get(error.status or 0)
            if says is None or not peer:
                raise
            why = self._unknown(peer) if error.status == 404 else says(peer=peer)
            raise ServerRefused(why, error.status) from None
        if callee is None:
            return None
        if peer and callee.client_id != peer:
            server, other = self.introducer.name, callee.client_id
            raise CodedError(reasons.WRONG_ANSWER(peer=peer, server=server, other=other))
        contact = callee.contact()
        self._address_book.remember(contact, callee.addresses)
        if callee.key is not None and callee.call:
            self._answers.store(
                Rendezvous(
                    callee.client_id,
                    callee.key,
                    callee.addresses,
                    callee.call,
                    callee.ticket,
                    callee.relay,
                )
            )
        if contact.key is not None:
            self._trust.introduce(contact.client_id, contact.key)
        return contact

    async def _ask_for_one(self, client_id: str, key: str | None, told: str = "") -> Contact | None:
        """Send BRIDGE as `ask_for` does; an away contact is watched.

        `told`: the name shown to the user, empty if the user did not request it.
        `key`: the contact's, if known; a peer nearby must have it.
        """
        try:
            return await self.ask_for(client_id)
        except (ServerRefused, ServerUnreachable) as error:
            if (near := self._nearby(client_id, key)) is not None:
                return near
            if error.status != AWAY:
                raise
        await self.introducer.watch(client_id)
        if told:
            self._expected[client_id] = told
        raise CodedError(reasons.AWAY_WATCHED(peer=told or client_id))

    def _contact_online(self, client_id: str) -> None:
        """Notify the user that an expected contact is online, and later of each new /away text."""
        away = self._address_book.away(client_id)
        name = self._expected.pop(client_id, None)
        if name is None and client_id in self._watched:
            watched, before = self._watched[client_id]
            name = watched if away != before else None
        if name is None:
            return
        self._watched.pop(client_id, None)
        if away or client_id in self._followed:  # otherwise the contact is back
            self._note(client_id, name, away)
        self._context.publish(PresenceChanged(name, "online", away or None))

    def _note(self, client_id: str, name: str, away: str) -> None:
        self._watched[client_id] = name, away
        while len(self._watched) > MOST_WATCHED:
            del self._watched[next(iter(self._watched))]

    def follow(self, key: str, name: str) -> None:
        """Notify a user at a terminal when the owner of `key`, called `name`, is away or back.

        A present away text is shown too. Without a pin at our server the state is unknown.
        """
        client_id = next(iter(self._trust.ids_of(key)), "")
        server = self._server
        if not client_id or server is None or not self._context.settings.typed:
            return
        _, before = self._watched.pop(client_id, ("", ""))
        self._note(client_id, name, before)
        if client_id in self._followed:
            return
        if len(self._followed) >= MOST_FOLLOWED:
            oldest = next(iter(self._followed))
            del self._followed[oldest]
            server.unfollow(oldest)
        self._followed[client_id] = None
        ensureDeferred(server.follow(client_id)).addErrback(self._not_followed, client_id)

    def _not_followed(self, failure: Failure, client_id: str) -> None:
        """Handle a refusal or an unreachable server: the next conversation retries."""
        failure.trap(CodedError)
        self._followed.pop(client_id, None)

    def away_text(self, key: str | None) -> str:
        """Return the away text of the owner of `key`, if known; empty for none."""
        ids = self._trust.ids_of(key) if key is not None else []
        return next(filter(None, map(self._address_book.away, ids[:1])), "")

    async def locate(self, client_id: str) -> Contact | None:
        """Ask the server for the address of `client_id`; None if it returns another client.

        For a caller that gave no address: the server pairs a caller with the peer it called.
        """

        try:
            contact = await self.ask_for("")
        except CodedError as error:
            log.info("no address for {name}: {error}", name=client_id, error=error)
            return None
        return contact if contact is not None and contact.client_id == client_id else None

    async def whereabouts(self, client_id: str, key: str | None) -> Contact | None:
        """Ask the server for the address of `client_id`; without one watch the contact and return None."""
        try:
            if self._server is None:
                return self._nearby(client_id, key)
            return await self._ask_for_one(client_id, key)
        except CodedError as error:
            log.info("no address for {name}: {error}", name=client_id, error=error)
            return None

    async def confirm(self, client_id: str, key: str) -> bool:
        """Return True if the server confirms that `client_id` has `key`."""
        if self._server is None or self._context.settings.plain or not self._server.registered:
            return False
        now = self._context.clock.seconds()
        while self._confirmed and self._confirmed[0] <= now - MINUTE:
            self._confirmed.popleft()
        if len(self._confirmed) >= CONFIRMATIONS:
            return False
        self._confirmed.append(now)
        try:
            callee = await self._server.bridge(client_id)
        except CodedError:
            return False
        return callee is not None and (callee.client_id, callee.key) == (client_id, key)

    async def find(self, conversation: Conversation) -> Contact:
        """Find the address of the recipient of `conversation`. Raises CodedError."""
        match conversation.recipient:
            case Dialled(host, port):
                contact, asked = self._at(conversation, host, port), ""
            case FirstContact(_, ""):
                contact, asked = self._bridged(conversation), ""
            case FirstContact(_, client_id):
                contact, asked = await self._ask(conversation, client_id, None), client_id
                conversation.chosen = True
            case KeyedPerson(key):
                contact, asked = await self._with_key(conversation, key)
            case _:
                raise CodedError(reasons.NOT_CALLABLE(peer=conversation.name))
        if conversation.state is not SessionState.CALLING:
            return contact  # the call was ended while the server was asked, or the peer has called
        me = self._context.own_addresses.me
        ours = contact.key in (None, self._trust.own_key)
        here = contact.host in (me.host, "localhost", "127.0.0.1", "::1")
        if contact.port == me.port and here and ours:  # other keys are other clients
            raise CodedError(reasons.OWN_ADDRESS())
        self._answered(conversation, asked, contact)
        return replace(contact, key=conversation.key)

    def _at(self, conversation: Conversation, host: str, port: int) -> Contact:
        """Return the contact at an address; in plain text, under its stored name."""
        if self._is_plain(conversation):
            found = self._address_book.at(host, port)
            if found is not None and found.key is None:
                return found
        return Contact(host_port(host, port), host, port)

    def _bridged(self, conversation: Conversation) -> Contact:
        """Return the last answer of the server to BRIDGE."""
        contact = self._address_book.bridged
        if contact is None:
            raise CodedError(reasons.CALL_WHOM())
        pin = self._trust.pinned(contact.client_id)
        if pin is not None:
            conversation.recipient = KeyedPerson(pin.key)
        return contact

    async def _with_key(self, conversation: Conversation, key: str) -> tuple[Contact, str]:
        """Return the owner of `key`, and the id that the server was asked for."""
        ids = self._trust.ids_of(key)
        heard = self._address_book.with_key(key)
        if not ids and heard is not None:
            ids = [heard.client_id.rstrip("?")]
        if ids:
            return await self._ask(conversation, ids[0], key), ids[0]
        near = self._nearby("", key)
        if near is None:
            raise CodedError(reasons.KEY_NOT_FOUND(key=key))
        return near, ""

    async def _ask(self, conversation: Conversation, client_id: str, key: str | None) -> Contact:
        """Return `client_id`, which must have `key` if given, from the server or from memory."""
        plain = self._is_plain(conversation)
        if plain or self._server is None:
            found = self._address_book.named(client_id)
            if key is not None and found is not None and found.key not in (None, key):
                found = None  # another client with that name
            if found is None and not plain:
                found = self._nearby(client_id, key) or self._nearby(client_id)
            if found is None:
                raise CodedError(self._no_address(client_id, plain))
            return found
        told = "" if conversation.quiet else conversation.name
        asked = await self._ask_for_one(client_id, key, told)
        if asked is None:
            raise CodedError(self._unknown(client_id))
        return asked

    def _unknown(self, peer: str) -> str:
        """Return the error for a `peer` unknown to the server; suggest a known id that differs in case."""
        for other in (*self._trust.file.pins.names(), *self._address_book.ids()):
            if other != peer and other.casefold() == peer.casefold():
                return reasons.SERVER_KNOWS_ANOTHER(peer=peer, other=other)
        return reasons.SERVER_KNOWS_NOBODY(peer=peer)

    def _answered(self, conversation: Conversation, asked: str, contact: Contact) -> None:
        """Make the contact found the recipient of `conversation`, if it fits. Raises CodedError."""
        client_id = contact.client_id.rstrip("?")
        plain, settings = self._is_plain(conversation), self._context.settings
        allowed = (plain or settings.open) and not self._names.has_pin(client_id)
        before = conversation.recipient
        try:
            conversation.recipient = answered(
                before, asked, client_id, contact.key, conversation.open_peer if allowed else None
            )
        except Mismatch as wrong:
            why = self._refusal(before, client_id, contact, wrong)
            without_key = wrong.reason is Reason.NO_KEY and self._names.has_pin(client_id)
            reason = Reason.OTHER_KEY if without_key else wrong.reason
            if before.key is not None:
                self.elsewhere(before.key)
            if conversation.quiet:
                self._warn(why)
            raise CodedError(why, reason) from None
        match before:
            case Dialled():
                return
        conversation.client_id = client_id
        if conversation.key is None and not plain:
            conversation.speak_plainly(DIALECTS[settings.dialect])
        elif contact.key is not None and not contact.client_id.endswith("?"):
            conversation.pins = client_id

    def _refusal(
        self, recipient: Recipient, client_id: str, contact: Contact, wrong: Mismatch
    ) -> str:
        """Return why a call is refused, in one sentence."""
        if wrong.reason is Reason.NO_KEY:
            if self._names.has_pin(client_id):
                return reasons.LOST_KEY(peer=client_id)
            return reasons.HAS_NO_KEY(peer=client_id)
        if wrong.reason is not Reason.OTHER_KEY:
            return f"refused: {wrong}"
        pin = self._trust.pinned(client_id)
        if pin is not None and pin.key == recipient.key:
            accept = f"type /trust {client_id} {contact.key}"
            return changed_key(pin, self._trust.path, client_id, accept)
        where = self._server.name if self._server is not None else "hand"
        return reasons.SERVER_NAMES_ANOTHER(peer=client_id, server=where, key=contact.key)

    def _warn(self, text: str) -> None:
        """Show once why an automatic call is refused."""
        if text not in self._warned:
            if len(self._warned) >= MOST_WARNED:
                self._warned.clear()
            self._warned.add(text)
            self._context.publish(Notice(text))

    def _is_plain(self, conversation: Conversation) -> bool:
        return isinstance(conversation.session.dialect, Dialect)

    def _nearby(self, client_id: str, key: str | None = None) -> Contact | None:
        """Return the contact that a beacon named `client_id` or `key`, and remember it; None without one.

        Raises CodedError if several beacons claim `client_id`.
        """
        neighbours = self._neighbours
        if neighbours is None:
            return None
        found = neighbours.find(client_id) if key is None else neighbours.with_key(key)
        if not found:
            return None
        if len(found) > 1 and key is None:
            where = ", ".join(host_port(*one.addresses[0]) for one in found)
            raise CodedError(reasons.SEVERAL_NEARBY(count=len(found), peer=client_id, where=where))
        contact = neighbours.contact(found[0])
        self._address_book.remember(contact, found[0].addresses)
        return contact

    def _no_address(self, target: str, plain: bool) -> str:
        if plain:
            return reasons.NO_ADDRESS_PLAIN(peer=target)
        if self._neighbours is None:
            return reasons.NO_ADDRESS_NO_SERVER(peer=target)
        return reasons.NOT_NEARBY(peer=target)
