"""Calls that the person places: by id, by address, or to the server's last answer."""

from __future__ import annotations

from chatproto.client.address_book import AddressBook
from chatproto.client.calls import Calls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import Notice
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.name_resolver import NameResolver
from chatproto.client.requests import Requests
from chatproto.client.trust_store import TrustStore
from chatproto.identity.pins import KEY
from chatproto.session.state import SessionState
from chatproto.wire.dialects import BCP2, DIALECTS
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import read_host_port
from chatproto.wire.reasons import CodedError


class OutgoingCalls:
    """Find out where a peer is and how they are called, then call them."""

    def __init__(
        self,
        context: Context,
        trust: TrustStore | None,
        people: AddressBook,
        dialects: KnownDialects,
        requests: Requests,
        resolver: NameResolver,
        calls: Calls,
    ) -> None:
        self._context = context
        self._trust = trust
        self._people = people
        self._dialects = dialects
        self._requests = requests
        self._resolver = resolver
        self._calls = calls
        calls.talked.listen(self._talked)

    def chat(self, target: str = "", dialect: str = "") -> None:
        """Call `target`: an id, `host:port`, or empty for the last answer of the server.

        `dialect`: calls in plain text. What cannot be done is published.
        """
        if dialect and dialect not in DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            why = f"there is no dialect {dialect}; there are {known}"
            self._requests.fail("chat", LocalError(400, why))
            return
        plain = dialect or self._plain_dialect(target)
        if not plain and self._trust is None:
            self._requests.fail("chat", LocalError(405, "there is no key to call with"))
            return
        manner = DIALECTS[plain] if plain else BCP2
        try:
            conversation = self._calls.caller.prepare(target, manner)
        except LocalError as error:
            self._requests.fail("chat", error, target)
            return
        if conversation is not None:
            chosen = bool(dialect) or self._context.settings.dialect_chosen
            self._requests.ask("chat", lambda: self._chat(conversation, chosen))

    def _plain_dialect(self, target: str) -> str:
        """Return the dialect in which `target` is called in plain text; empty: inside TLS.

        Without --plain an address is called in plain text only if the person named a dialect, and no
        key of somebody there is known.
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
            self._context.publish(Notice(f"{target} is called inside TLS; {plainly}"))
        return ""

    def _has_key(self, address: str) -> bool:
        """Return True if somebody with a key is known to be at `address`, `host:port`."""
        try:
            contact = self._people.at(*read_host_port(address))
        except RemoteError:
            return False
        return contact is not None and contact.key is not None

    async def _chat(self, conversation: Conversation, chosen: bool = False) -> None:
        """Find out where to call, now that the requests before are answered, and call.

        `chosen`: the person named the dialect; else one that worked with the peer before is taken.
        """
        if conversation.state is not SessionState.CALLING:
            return
        try:
            contact = await self._resolver.find(conversation)
        except CodedError as error:
            conversation.refusal = error
            conversation.perform(conversation.session.unreachable(error.cause))
        else:
            if conversation.state is SessionState.CALLING:  # they may have called meanwhile
                known = self._dialects.get(contact.client_id)
                if known and not chosen and not conversation.session.dialect.numbered:
                    conversation.session.mirror(DIALECTS[known], calling=True)
                self._calls.caller.place(conversation, contact)

    def deliver(self, key: str) -> None:
        """Call the owner of `key`, for whom messages are queued; nothing is shown before they answer."""
        conversation = self._calls.caller.deliver(key)
        if conversation is not None:
            self._requests.ask("msg", lambda: self._chat(conversation))

    def _talked(self, conversation: Conversation) -> None:
        """Remember the dialect of a conversation that went both ways, for the next call."""
        dialect = conversation.session.dialect.name
        if conversation.contact is not None:
            self._dialects.worked(conversation.contact.client_id, dialect)
        elif conversation.named:
            self._dialects.worked(conversation.id, dialect)


def _is_address(target: str) -> bool:
    """Return True for `host:port`, as opposed to the name of a person that has a colon in it."""
    return ":" in target and "@" not in target and KEY.fullmatch(target) is None
