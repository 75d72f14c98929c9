"""Deliveries by key, and whether their messages outlive a conversation."""

from __future__ import annotations

from chatproto.client.context import Context
from chatproto.net.keys import key_bytes
from chatproto.session.delivery import Delivery
from chatproto.session.ledger import MSG, Ledger


class OutboundStreams:
    """Hold one delivery per key in one ledger, across all conversations with its owner."""

    def __init__(self, context: Context, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lasts = context.trust.knows
        """Return True if messages for a key outlive the conversation: only if it is pinned."""
        self._own_key = context.trust.own_key
        self._context = context
        self._streams: dict[str, Delivery] = {}

    def of(self, key: str, name: str) -> Delivery:
        """Return the delivery for `key`, whose owner is called `name`."""
        delivery = self._streams.get(key)
        if delivery is None:
            smaller = key_bytes(self._own_key) < key_bytes(key)
            delivery = Delivery(
                self.ledger, key, name, smaller, self._new_stream, self._context.limits
            )
            self._streams[key] = delivery
        delivery.name = name
        return delivery

    def unsettled(self, key: str) -> bool:
        """Return True if the outcome of any message to `key` is still open."""
        delivery = self._streams.get(key)
        if delivery is not None:
            return bool(delivery.unsettled)
        return any(one.kind == MSG for one in self.ledger.entries(key))

    def _new_stream(self) -> str:
        return f"{self._context.random.getrandbits(64):016x}"
