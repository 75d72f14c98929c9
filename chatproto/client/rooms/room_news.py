"""Turn the server's messages about rooms into events."""

from __future__ import annotations

from chatproto.client.events import RoomChanged
from chatproto.net.clock import Wall
from chatproto.net.dates import moment_of
from chatproto.wire.bcp2_rooms import Changed, JoinAck

_CHANGES = {
    ("kick", False): "kicked",
    ("ban", False): "banned",
    ("ban", True): "unbanned",
    ("unban", False): "unbanned",
    ("mute", False): "muted",
    ("mute", True): "unmuted",
    ("op", True): "deop",
}
"""By what CHANGED tells and whether its `Until` has passed."""


def joined(ack: JoinAck, own_id: str, again: bool = False) -> RoomChanged:
    """Report that we have joined; `again`: after a lost connection."""
    return RoomChanged(
        ack.room,
        "joined",
        own_id,
        members=tuple(one.id for one in ack.members),
        count=ack.count,
        role=ack.role,
        text=ack.topic or None,
        own=True,
        again=again or None,
    )


def changed(push: Changed, own_id: str, now: Wall) -> RoomChanged:
    """Report a change by a member."""
    over = bool(push.until) and moment_of(push.until) <= now
    return RoomChanged(
        push.room,
        _CHANGES.get((push.what, over), push.what),
        push.peer_id or None,
        by=push.sender or None,
        text=push.text if push.what == "topic" else None,
        until=None if over else push.until or None,
        key=push.key or None,
        address=push.address or None,
        reason=push.text or None if push.what == "kick" else None,
        own=push.peer_id == own_id or None,
    )
