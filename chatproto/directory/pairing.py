"""Choose the peer for a classic BRIDGE (PROTOCOL.md, section 2)."""

from __future__ import annotations

from chatproto.directory.classic_registration import ClassicRegistration
from chatproto.directory.registry import Registry


def partner_stays(
    partner: ClassicRegistration | None, heard: float, now: float, partner_wait: float
) -> bool:
    """Return True if the partner of before is given again: it was heard of within `partner_wait` seconds."""
    return partner is not None and not partner.key and heard >= now - partner_wait


def bridge(
    registry: Registry, asker: str, now: float, partner_wait: float, waits: bool = True
) -> ClassicRegistration | None:
    """Return the client to introduce to `asker`, or None: `asker` then waits (if `waits`).

    In this order: its own partner of before, if heard of within `partner_wait` seconds; the first
    who waits; the free one heard of last. Never `asker` itself, and nobody who has a key, for those
    are not called in plain text. `asker` need not be registered.
    """
    partner = registry.partner_of(asker)
    peer = registry.find(partner) if partner is not None else None
    heard = registry.heard_at(peer.client_id) if peer is not None else 0.0
    if not partner_stays(peer, heard, now, partner_wait):
        peer = registry.first_waiting(asker) or registry.last_free(asker)
    if peer is None and waits:
        registry.wait(asker)
    elif peer is not None:
        registry.pair(asker, peer.client_id)
    return peer
