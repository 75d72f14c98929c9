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
    """Send `message` to one member."""

    member: Member
    message: Bcp2Message


@value_class
class Show:
    """Send one member `lines` as SAIDs with the CSeq of `last`, many in one write, and then `last`."""

    member: Member
    lines: tuple[RoomLine, ...]
    last: HistoryAck


@value_class
class Spread:
    """Send `message` to all members of `room` except `but`; `plain`: also to raw-text members."""

    room: Room
    message: Bcp2Message
    but: Member | None = None
    plain: bool = True


@value_class
class LineSent:
    """Send SAYACK to `speaker` and SAID to all other members for a line of `sender`.

    It is applied in order with the other effects. `speaker` is None for a raw-text client; the other
    raw-text members have received its line already.
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


Effect = TellMember | Show | Spread | LineSent | PutOut | LookAgain
