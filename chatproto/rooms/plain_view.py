"""What those in the lobby in bare text read of the others."""

from __future__ import annotations

from chatproto.rooms.effects import Talk
from chatproto.stdio.printable import printable
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms_told import Changed, Joined, Parted


def shown_line(message: Bcp2Message | Talk) -> str:
    """`message` as one line."""
    match message:
        case Talk(sender=sender, text=text):
            return f"{sender}: {printable(text)}"
        case Joined(_, peer_id):
            return f"* {peer_id} joined"
        case Parted(_, peer_id, reason):
            return f"* {peer_id} left ({printable(reason)})" if reason else f"* {peer_id} left"
        case Changed(_, "topic", sender, text=text):
            return f"* {_who(sender)} set the topic: {printable(text)}"
        case Changed(_, what, sender, peer_id, key, address):
            whom = " ".join(filter(None, (peer_id, key, address)))
            return f"* {_who(sender)}: {what} {whom}".rstrip()
    raise AssertionError(message)


def _who(sender: str) -> str:
    return sender or "the operator"
