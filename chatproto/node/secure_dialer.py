"""Finds a way to somebody, inside TLS and with the key that they must have."""

from __future__ import annotations

from typing import Protocol

from chatproto.node.conversation import Conversation
from chatproto.node.introduction import Introduction
from chatproto.node.meetings import Meetings
from chatproto.node.people import People
from chatproto.peer.secure import SecureLink
from chatproto.wire.fields import Contact


class SecureDialerOwner(Protocol):
    """What the dialler needs of the calls."""

    meetings: Meetings

    @property
    def people(self) -> People: ...


class SecureDialer:
    """Has a server's introduction carried out; where there is none, tries the addresses known."""

    def __init__(self, calls: SecureDialerOwner) -> None:
        self._calls = calls

    async def reach(
        self, conversation: Conversation, contact: Contact, wait: float | None = None
    ) -> SecureLink:
        """A link to `contact`, TLS and all. Raises Unreachable.

        `wait`: seconds for all of it, where nobody has introduced us.
        """
        meetings = self._calls.meetings
        introduction = meetings.take(contact.key) if contact.key is not None else None
        if introduction is not None:
            wait = None
        else:
            typed = ":" in contact.client_id
            known = self._calls.people.addresses(contact)
            addresses = tuple((host, port) for host, port in known if port)
            introduction = Introduction(
                contact.client_id, contact.key or "", addresses, typed=typed
            )
        link = await meetings.call(conversation, introduction, wait)
        if link.dialled and not link.relayed:
            conversation.host, conversation.port = link.host, link.port
        return link
