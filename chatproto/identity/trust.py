"""Whom to believe: what a caller's id is worth, given the key that TLS proved (protocol section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from chatproto.identity.pins import NO_SERVER, Pin, Pins


class Worth(Enum):
    """What a claimed id is worth."""

    KNOWN = "known"
    """The key is pinned, as that of this id or of another."""
    CONFIRMED = "confirmed"
    """A server says that the id has this key; nobody here has met them before."""
    CLAIMED = "claimed"
    """Nobody says so but the caller."""
    REFUSED = "refused"
    """The id is pinned to another key."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What was found; `pin` is the one that says it, for KNOWN and REFUSED."""

    worth: Worth
    pin: Pin | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the id may be shown without a doubt."""
        return self.worth in (Worth.KNOWN, Worth.CONFIRMED)


def believe(
    pins: Pins, servers: Iterable[str], client_id: str, key: str, confirmed: bool
) -> Belief:
    """What `client_id` is worth from somebody who proved `key`.

    `servers`: the keys of the servers that we are registered with, under each of which the id may be
    known; none: those without a server. `confirmed`: a server introduced or confirmed the two.
    A key that is pinned is KNOWN under whatever id: it is the same contact.
    """
    known = next(iter(pins.ids_of(key)), None)
    if known is not None:
        return Belief(Worth.KNOWN, known)
    for server in (*servers, NO_SERVER):
        pin = pins.person(server, client_id)
        if pin is not None:
            return Belief(Worth.REFUSED, pin)
    return Belief(Worth.CONFIRMED if confirmed else Worth.CLAIMED)


def changed_key(pin: Pin, key: str, where: str, who: str, accept: str) -> list[str]:
    """What a person is told when a key is not the pinned one: who, which line, what to do."""
    return [
        f"the key of {who} has changed: somebody may be in between, or they have a new home",
        f"known: {pin.key} ({where}, line {pin.line})",
        f"shown: {key}",
        f"refused; if you know the new key to be theirs: {accept}",
    ]
