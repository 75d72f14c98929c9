"""Effects that the room rules return for the server to apply."""

from __future__ import annotations

from chatproto.rooms.history import RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.room import Member, Room
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import HistoryAck
from chatproto.wire.values import value_class


@value_class
class TellMember:
    """Send `message` to one guest."""

    member: Member
    message: Bcp2Message


@value_class
class Show:
    """Send `lines`, much at once, as SAIDs that repeat the CSeq of `last`, and then that, to one guest."""

    member: Member
    lines: tuple[RoomLine, ...]
    last: HistoryAck


@value_class
class Spread:
    """Send `message` to all members of `room` but one; `plain`: also to those in bare text."""

    room: Room
    message: Bcp2Message
    but: Member | None = None
    plain: bool = True


@value_class
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


@value_class
class PutOut:
    """Disconnect the raw-text lobby member called `name`."""

    name: str


@value_class
class LookAgain:
    """Disconnect raw-text clients of the lobby whose address `policy` bans."""

    policy: RoomPolicy


Effect = TellMember | Show | Spread | Talk | PutOut | LookAgain
