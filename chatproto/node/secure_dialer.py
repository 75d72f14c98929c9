"""Makes a connection inside TLS to somebody, at one of their addresses and with the key they must have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from chatproto.node.acquaintances import Acquaintances
from chatproto.node.conversation import Conversation
from chatproto.node.dialer import Dialer, Unreachable
from chatproto.node.people import People
from chatproto.node.secure_links import SecureLinks
from chatproto.peer.secure import SecureLink
from chatproto.wire.fields import Contact


class SecureDialerOwner(Protocol):
    """What the dialler needs of the calls."""

    secure: SecureLinks

    @property
    def acquaintances(self) -> Acquaintances | None: ...
    @property
    def people(self) -> People: ...


class SecureDialer:
    """Tries one address after another."""

    def __init__(self, calls: SecureDialerOwner, dialer: Dialer) -> None:
        self._calls = calls
        self._dialer = dialer

    async def reach(
        self, conversation: Conversation, contact: Contact, wanted: Callable[[], bool]
    ) -> SecureLink:
        """A link to `contact`, TLS and all, while it is `wanted`. Raises Unreachable."""
        known, secure = self._calls.acquaintances, self._calls.secure
        assert known is not None
        reason = "there is no address to call"

        def judge(key: str) -> str | None:
            if key == known.own_key:
                return "that is your own key"
            if contact.key is not None and key != contact.key:
                return f"the key shown there is not that of {contact.client_id}: {key}"
            return None

        for host, port in self._calls.people.addresses(contact):
            if not port:
                continue
            link = secure.new(known.handshake(judge), called=False)
            made = secure.made(link)
            try:
                await self._dialer.dial_secure(host, port, link)
                await made
            except Unreachable as error:
                secure.forget(link)
                reason = str(error)
            else:
                conversation.host, conversation.port = host, port
                return link
            if not wanted():
                break
        raise Unreachable(reason)
