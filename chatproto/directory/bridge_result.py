"""Whom a server that was asked to introduce us answered with."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import Contact


@dataclass(frozen=True, slots=True)
class BridgeResult:
    """Somebody to be called; without `key` they speak plain text only.

    `call`: by which both know that they were introduced. `ticket`, `relay`: for the server's relay.
    """

    client_id: str
    key: str | None
    addresses: tuple[Address, ...]
    call: str = ""
    ticket: str = ""
    relay: Address | None = None

    def contact(self) -> Contact:
        """With the first address."""
        host, port = self.addresses[0] if self.addresses else ("", 0)
        return Contact(self.client_id, host, port, self.key)


def callee_of(answer: bcp2_server.BridgeAck) -> BridgeResult | None:
    """Who is in `answer`; None: nobody is to be had."""
    if not answer.client_id:
        return None
    return BridgeResult(
        answer.client_id,
        answer.key or None,
        answer.addresses,
        answer.call,
        answer.ticket,
        answer.relay,
    )
