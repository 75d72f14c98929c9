"""Effects that the room rules return for the server to apply."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.rooms.history import RoomLine
from chatproto.rooms.room import Member, Room
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import HistoryAck


@dataclass(frozen=True, slots=True)
class TellMember:
    """Send `message` to one guest."""

    guest: Member
    message: Bcp2Message


@dataclass(frozen=True, slots=True)
class Show:
    """Send `lines`, much at once, as SAIDs that repeat the CSeq of `last`, and then that, to one guest."""

    guest: Member
    lines: tuple[RoomLine, ...]
    last: HistoryAck


@dataclass(frozen=True, slots=True)
class Spread:
    """Send `message` to all members of `room` but one; `plain`: also to those in bare text."""

    room: Room
    message: Bcp2Message
    but: Member | None = None
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Talk:
    """`sender` said `text` at `at`: a SAYACK to `speaker` and a SAID to all others, in this place.

    `speaker` is None for somebody in bare text, where the others have been told already.
    """

    room: Room
    number: int
    sender: str
    at: float
    text: str
    speaker: Member | None = None
    cseq: int = 0


@dataclass(frozen=True, slots=True)
class PutOut:
    """Disconnect the raw-text lobby member called `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Disconnect raw-text clients of the lobby whose address is now banned."""


Effect = TellMember | Show | Spread | Talk | PutOut | LookAgain
