"""Decide how far an id is believed, given the key that TLS proved (PROTOCOL.md section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from chatproto.identity.pins import NO_SERVER, Pin, Pins
from chatproto.wire.reasons import KEY_CHANGED, Cause
from chatproto.wire.values import value_class


class Worth(Enum):
    """Degree to which a claimed id is believed."""

    KNOWN = "known"
    """The key is pinned, under this id or another."""
    CONFIRMED = "confirmed"
    """A server confirms the key of the id; it is a first contact."""
    CLAIMED = "claimed"
    """Only the peer itself claims the id."""
    REFUSED = "refused"
    """The id is pinned to another key."""


@value_class
class Belief:
    """Result of `believe`; `pin` is the pin that decided, for KNOWN and REFUSED."""

    worth: Worth
    pin: Pin | None = None

    @property
    def confirmed(self) -> bool:
        """Return True if the id may be shown without a mark."""
        return self.worth in (Worth.KNOWN, Worth.CONFIRMED)


def believe(
    pins: Pins, servers: Iterable[str], client_id: str, key: str, confirmed: bool
) -> Belief:
    """Return how far `client_id` is believed for a peer that proved `key`.

    A pinned key is KNOWN under any id: it is the same contact.

    Args: servers: keys of the servers where this client is registered; pins without a server
    count as well. confirmed: True if a server introduced the peers or confirmed the id.
    """
    known = next(iter(pins.ids_of(key)), None)
    if known is not None:
        return Belief(Worth.KNOWN, known)
    for server in (*servers, NO_SERVER):
        pin = pins.person(server, client_id)
        if pin is not None:
            return Belief(Worth.REFUSED, pin)
    return Belief(Worth.CONFIRMED if confirmed else Worth.CLAIMED)


def changed_key(pin: Pin, where: str, who: str, accept: str) -> Cause:
    """Return the sentence about a key that differs from its pin, with the peer, the line and the remedy.

    Args: where: path of the pin file. accept: command that pins the new key, with that key.
    """
    return KEY_CHANGED(peer=who, known=pin.key, file=where, line=pin.line, accept=accept)
