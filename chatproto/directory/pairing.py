"""Choose the peer for a classic BRIDGE (PROTOCOL.md, section 2)."""

from __future__ import annotations

from chatproto.directory.classic_registration import ClassicRegistration
from chatproto.directory.registry import Registry


def partner_stays(
    partner: ClassicRegistration | None, heard: float, now: float, partner_wait: float
) -> bool:
    """Return True if the previous partner is introduced again: its last request was within
    `partner_wait` s.
    """
    return partner is not None and not partner.key and heard >= now - partner_wait


def bridge(
    registry: Registry, asker: str, now: float, partner_wait: float, waits: bool = True
) -> ClassicRegistration | None:
    """Return the client to introduce to `asker`, or None: `asker` is then queued (if `waits`).

    In this order: the previous partner, if its last request was within `partner_wait` seconds; the
    longest waiting client; the free client with the latest request. Never `asker` itself, or a client
    with a key, which does not accept plain-text calls. `asker` may be unregistered.
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
