"""Whom a name means, how they can be called, and with which key."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatproto.directory.answer import Refused
from chatproto.directory.client import Unreachable
from chatproto.identity.trust import changed_key
from chatproto.node.acquaintances import Acquaintances
from chatproto.node.calls import Calls
from chatproto.node.conversation import Conversation
from chatproto.node.events import Answer
from chatproto.node.introducers import Introducer
from chatproto.node.introduction import Introduction
from chatproto.node.neighbours import Neighbours
from chatproto.node.people import People
from chatproto.node.settings import Settings
from chatproto.peer.ledger import LedgerTrouble
from chatproto.wire.bcp2_common import read_key
from chatproto.wire.dialects import DIALECTS, Dialect, Me
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact, host_port, read_client_id, read_host_port

log = Logger()

AWAY = 480
CONFIRMATIONS, MINUTE = 2, 60.0

_BARE = {"403 refused": "403 refused: {} is you", "404 no such client": "404 no such client: {}"}
"""What the server's answers to BRIDGE say besides to a person."""


class Trouble(Exception):
    """What was asked for cannot be done; its text is one sentence for a person."""


TROUBLES = (Trouble, LocalError, RemoteError, Refused, Unreachable, LedgerTrouble)
"""What can be in the way of something that was asked for; each says it in one sentence."""


class FinderOwner(Protocol):
    """What the finder needs of the node."""

    settings: Settings
    people: People
    me: Me
    acquaintances: Acquaintances | None
    server: Introducer | None
    calls: Calls
    expected: set[str]
    neighbours: Neighbours | None
    reactor: IReactorTime


class Finder:
    """Asks the server and our own memory; what it raises is in `TROUBLES`."""

    def __init__(self, node: FinderOwner) -> None:
        self._node = node
        self._confirmed: deque[float] = deque()

    @property
    def introducer(self) -> Introducer:
        """The server. Raises Trouble if there is none."""
        if self._node.server is None:
            raise Trouble("there is no server (--server none): /chat host:port calls directly")
        return self._node.server

    async def ask_for(self, peer: str) -> Contact | None:
        """Whom the server answers with; remembered, and believed for a while."""
        try:
            callee = await self.introducer.bridge(peer)
        except Refused as error:
            if str(error) not in _BARE:  # a classic server has words of its own
                raise
            raise Refused(_BARE[str(error)].format(peer), error.status) from None
        if callee is None:
            return None
        contact = callee.contact()
        self._node.people.remember(contact, callee.addresses)
        if callee.key is not None and callee.call:
            self._node.calls.meetings.keep(
                Introduction(
                    callee.client_id,
                    callee.key,
                    callee.addresses,
                    callee.call,
                    callee.ticket,
                    callee.relay,
                )
            )
        if contact.key is not None and self._node.acquaintances is not None:
            self._node.acquaintances.introduce(contact.client_id, contact.key)
        return contact

    async def _ask_for_one(self, client_id: str, told: bool = True) -> Contact | None:
        """As `ask_for`; of somebody who is away we hear when they come, and the person is `told`."""
        try:
            return await self.ask_for(client_id)
        except (Refused, Unreachable) as error:
            if (near := self._nearby(client_id)) is not None:
                return near
            if not isinstance(error, Refused) or error.status != AWAY:
                raise
        await self.introducer.watch(client_id)
        if told:
            self._node.expected.add(client_id)
        raise Trouble(f"{client_id} is away: you will be told when they come")

    async def locate(self, client_id: str) -> Contact | None:
        """Where the server says that `client_id` is, if it answers with them; None if it does not.

        For one who called and told no address: the server gives a caller and a called to each other.
        """

        try:
            contact = await self.ask_for("")
        except TROUBLES as error:
            log.info("no address for {name}: {error}", name=client_id, error=error)
            return None
        return contact if contact is not None and contact.client_id == client_id else None

    async def whereabouts(self, client_id: str) -> Contact | None:
        """Where the server says that `client_id` is; None if it does not, and then we watch them."""
        try:
            if self._node.server is None:
                return self._nearby(client_id)
            return await self._ask_for_one(client_id, told=False)
        except TROUBLES as error:
            log.info("no address for {name}: {error}", name=client_id, error=error)
            return None

    async def confirm(self, client_id: str, key: str) -> bool:
        """Whether the server says that `client_id` has `key`."""
        if (
            self._node.server is None
            or self._node.settings.plain
            or not self._node.server.registered
        ):
            return False
        now = self._node.reactor.seconds()
        while self._confirmed and self._confirmed[0] <= now - MINUTE:
            self._confirmed.popleft()
        if len(self._confirmed) >= CONFIRMATIONS:
            return False
        self._confirmed.append(now)
        try:
            callee = await self._node.server.bridge(client_id)
        except TROUBLES:
            return False
        return callee is not None and callee.key == key

    async def find(self, conversation: Conversation, target: str) -> Contact:
        """Whom `target` means, and how to call them. Raises what is in TROUBLES."""
        people, me = self._node.people, self._node.me
        plain = isinstance(conversation.session.dialect, Dialect)
        if ":" in target:
            host, port = read_host_port(target)
            contact = people.at(host, port) or Contact(target, host, port)
        elif not target:
            if people.bridged is None:
                raise Trouble("whom? /bridge asks the server, /chat host:port calls directly")
            contact = people.bridged
        elif plain or self._node.server is None:
            found = people.named(target) or (None if plain else self._nearby(target))
            if found is None:
                raise Trouble(self._no_address(target, plain))
            contact = found
        else:
            asked = await self._ask_for_one(target, told=not conversation.quiet)
            if asked is None:
                raise Trouble(f"the server knows no {target}")
            contact = asked
        known = self._node.acquaintances
        ours = contact.key is None or (known is not None and contact.key == known.own_key)
        here = contact.host in (me.host, "localhost", "127.0.0.1", "::1")
        if contact.port == me.port and here and ours:  # in another home others have it
            raise Trouble("that is your own address")
        return contact if plain else self._secured(conversation, contact)

    def _nearby(self, client_id: str) -> Contact | None:
        """Who says nearby to be `client_id`, remembered; None if nobody does.

        Raises Trouble if several do and none of them has the key that is known.
        """
        neighbours = self._node.neighbours
        found = neighbours.find(client_id.rstrip("?")) if neighbours is not None else ()
        if neighbours is None or not found:
            return None
        if len(found) > 1:
            where = ", ".join(host_port(*one.addresses[0]) for one in found)
            raise Trouble(
                f"several nearby say to be {client_id}: /chat host:port calls one ({where})"
            )
        contact = neighbours.contact(found[0])
        self._node.people.remember(contact, found[0].addresses)
        return contact

    def _no_address(self, target: str, plain: bool) -> str:
        if plain:
            return f"no address for {target}: /info or /bridge may tell it"
        if self._node.neighbours is None:
            return f"no address for {target}: /chat host:port calls directly"
        return f"{target} is not nearby: /nearby shows who is, /chat host:port calls directly"

    def _secured(self, conversation: Conversation, contact: Contact) -> Contact:
        """`contact` with the key that they must have; or the open, where it is wanted and right."""
        known = self._node.acquaintances
        assert known is not None
        pin = known.pinned(contact.client_id)
        if pin is not None and contact.key not in (None, pin.key):
            accept = f"/trust {contact.client_id} {contact.key}"
            lines = changed_key(pin, str(contact.key), known.where, contact.client_id, accept)
            raise Trouble("; ".join(lines))
        if contact.key is None and pin is not None:
            return replace(contact, key=pin.key)
        if contact.key is None and ":" not in contact.client_id:
            if not self._node.settings.open:
                raise Trouble(
                    f"{contact.client_id} has no key: --open, or /chat --as canon, calls in the open"
                )
            conversation.speak_plainly(DIALECTS[self._node.settings.dialect])
        elif contact.key is not None and not contact.client_id.endswith("?"):
            conversation.pins = contact.client_id
        return contact

    def verified(self, name: str, same: bool) -> Answer:
        """The number to compare with `name`; `same`: it was the same, which is kept."""
        known = self._node.acquaintances
        if known is None or not name:
            raise Trouble("whom? /verify id" if known else "nothing is encrypted with --plain")
        conversation, pin = self._node.calls.all.called(name), known.pinned(name)
        key = conversation.key if conversation is not None else pin.key if pin is not None else None
        if key is None:
            raise Trouble(f"no key of {name} is known")
        number = known.safety_number(key)
        lines: tuple[str, ...] = (number, f"if {name} sees the same digits: /verify {name} yes")
        if same:
            known.pin(name.rstrip("?"), key, verified=True)
            lines = (f"{name} is verified",)
            if conversation is not None:
                conversation.show(host=None, port=None, security=conversation.security())
        data = {"id": name, "key": key, "number": number, "verified": same}
        return Answer("verify", lines, data)

    def trusted(self, peer: str, key: str) -> Answer:
        """Keep `key` as that of `peer`."""
        if self._node.acquaintances is None:
            raise Trouble("nothing is encrypted with --plain")
        self._node.acquaintances.trust(read_client_id(peer), read_key(key))
        return Answer("trust", (f"{peer} has {key}",), {"id": peer, "key": key})
