"""Peer to which the server introduces us."""

from __future__ import annotations

from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import Contact
from chatproto.wire.values import value_class


@value_class
class BridgeResult:
    """Peer to connect to; `key` is None for a peer that speaks plain text only.

    `call` is the id of the introduction, the same at both ends. `ticket` and `relay` are for the
    server's relay.
    """

    client_id: str
    key: str | None
    addresses: tuple[Address, ...]
    call: str = ""
    ticket: str = ""
    relay: Address | None = None

    def contact(self) -> Contact:
        """Return the peer with its first address."""
        host, port = self.addresses[0] if self.addresses else ("", 0)
        return Contact(self.client_id, host, port, self.key)


def callee_of(answer: bcp2_server.BridgeAck) -> BridgeResult | None:
    """Return the peer in BRIDGEACK; None if no peer is available."""
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
