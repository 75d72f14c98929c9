"""What the person asks the server about people: to know us, who is there, whom to talk to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from chatproto.client.address_book import AddressBook
from chatproto.client.events import Bridged, Contacts, Event, Notice, Registered
from chatproto.client.name_resolver import NameResolver
from chatproto.wire.limits import Limits


class InquiriesOwner(Protocol):
    """What they need of the node."""

    people: AddressBook
    limits: Limits

    @property
    def tell(self) -> Callable[[Event], None]: ...


class Inquiries:
    """Each tells its answer; raises CodedError."""

    def __init__(self, node: InquiriesOwner, finder: NameResolver) -> None:
        self._node = node
        self._finder = finder

    async def register(self) -> None:
        """Tell the server where we can be called."""
        if await self._finder.introducer.register():
            self._node.tell(Registered(self._finder.introducer.name))

    async def info(self, prefix: str) -> None:
        """Who is registered, those whose id begins with `prefix`; they are remembered."""
        chosen = await self._finder.introducer.info(prefix)
        for contact in chosen:
            self._node.people.remember(contact)
        keys = ("id", "host", "port", "key")
        rows = [(c.client_id, c.host, c.port, c.key) for c in chosen]
        self._node.tell(Contacts(tuple(dict(zip(keys, row, strict=True)) for row in rows)))
        if len(chosen) >= (most := self._node.limits.listed):
            self._node.tell(Notice(f"these are the first {most}: /info PREFIX lists fewer"))

    async def bridge(self, peer: str) -> None:
        """Somebody to talk to, `peer` or anybody; whom a call without a name means then."""
        contact = await self._finder.ask_for(peer)
        self._node.people.bridged = contact
        if contact is None:
            self._node.tell(Bridged(None, None, None))
        else:
            self._node.tell(Bridged(contact.client_id, contact.host, contact.port, contact.key))
