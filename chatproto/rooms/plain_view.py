"""Format room events as lines for the raw-text members of the lobby."""

from __future__ import annotations

from datetime import UTC

from chatproto.net.clock import Wall
from chatproto.net.dates import moment_of, short_time
from chatproto.rooms.effects import LineSent
from chatproto.stdio.printable import printable
from chatproto.wire.actions import spoken
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import Changed, Joined, Parted

_DONE = {
    ("kick", False): "removed {whom}",
    ("ban", False): "banned {whom}{until}",
    ("ban", True): "lifted the ban of {whom}",
    ("unban", False): "lifted the ban of {whom}",
    ("mute", False): "muted {whom}{until}",
    ("mute", True): "unmuted {whom}",
    ("op", False): "made {whom} a moderator{until}",
    ("op", True): "made {whom} a plain member again",
    ("settings", False): "changed the settings of the room",
}
"""Words for each action, by its kind and whether its end has passed."""


def shown_line(message: Bcp2Message | LineSent, now: Wall) -> str:
    """Return `message` as one line; `now` is the time of day."""
    match message:
        case LineSent(sender=sender, text=text):
            return f"{sender}: {printable(spoken(text))}"
        case Joined(_, peer_id):
            return f"* {peer_id} joined"
        case Parted(_, peer_id, reason):
            return f"* {peer_id} left ({printable(reason)})" if reason else f"* {peer_id} left"
        case Changed(_, "topic", sender, text=text):
            what = f"set the topic: {printable(text)}" if text else "removed the topic"
            return f"* {_who(sender)} {what}"
        case Changed(_, what, sender, peer_id, key, address, until):
            whom = " ".join(filter(None, (peer_id, key, address)))
            over = bool(until) and moment_of(until) <= now
            done = _DONE.get((what, over), f"did {what} to {{whom}}")
            return f"* {_who(sender)} {done.format(whom=whom, until=until and f' until {_utc(until, now)}')}"
    raise AssertionError(message)


def _utc(until: str, now: Wall) -> str:
    """Return a date in UTC, since the reader's time zone is unknown."""
    return f"{short_time(moment_of(until), now, UTC)} UTC"


def _who(sender: str) -> str:
    return sender or "the operator"
