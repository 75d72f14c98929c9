"""BCP/2 about rooms, what a server tells: answers and pushes (protocol section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.wire.bcp2_common import (
    CSEQ,
    ID,
    PEER_ID,
    Bcp2Message,
    Body,
    one_of,
    read_count,
    read_yes,
    write_yes,
)
from chatproto.wire.classic import Header
from chatproto.wire.room_fields import (
    ADDRESS,
    CHANGES,
    COUNT,
    DATE,
    FROM,
    KEY_OF,
    MORE,
    NEXT_ID,
    PEOPLE,
    ROOM_OF,
    TOLD,
    UNTIL,
    WHO,
    Listed,
    Occupant,
    OfRoom,
    read_role,
    read_room,
    read_rooms,
    write_rooms,
)


@dataclass(frozen=True, slots=True)
class JoinAck(Bcp2Message):
    """You are in: `Count` people are, the first of them by id in the body; `Last` was said last."""

    method = "JOINACK"
    headers = (
        CSEQ,
        ROOM_OF,
        COUNT,
        Header("Last", "last", read_count),
        Header("Role", "role", read_role),
        Header("Topic", "topic", needed=False),
        NEXT_ID,
    )
    body = PEOPLE
    cseq: int
    room: str
    count: int
    last: int
    role: str
    topic: str = ""
    next: str = ""
    members: tuple[Occupant, ...] = ()


@dataclass(frozen=True, slots=True)
class PartAck(OfRoom):
    """You are out."""

    method = "PARTACK"


@dataclass(frozen=True, slots=True)
class SayAck(Bcp2Message):
    """It was said: this is its number in the room's one order, and its time."""

    method = "SAYACK"
    headers = (CSEQ, ROOM_OF, ID, DATE)
    cseq: int
    room: str
    id: int
    date: str


@dataclass(frozen=True, slots=True)
class Said(Bcp2Message):
    """A push: `From` said `text`. With a `CSeq` it is part of the answer to HISTORY."""

    method = "SAID"
    headers = (CSEQ._replace(needed=False), ROOM_OF, FROM, ID, DATE)
    body = TOLD
    room: str
    sender: str
    id: int
    date: str
    text: str
    cseq: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryAck(Bcp2Message):
    """That were `Count` messages; `More: yes` where others follow in the same direction."""

    method = "HISTORYACK"
    headers = (CSEQ, ROOM_OF, COUNT, MORE)
    cseq: int
    room: str
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class NamesAck(Bcp2Message):
    """These are in the room, `Count` in all; `Next` where more follow after that id."""

    method = "NAMESACK"
    headers = (CSEQ, ROOM_OF, COUNT, NEXT_ID)
    body = PEOPLE
    cseq: int
    room: str
    count: int
    next: str = ""
    members: tuple[Occupant, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicAck(OfRoom):
    """So it is."""

    method = "TOPICACK"


@dataclass(frozen=True, slots=True)
class KickAck(OfRoom):
    """They are out."""

    method = "KICKACK"


@dataclass(frozen=True, slots=True)
class BanAck(OfRoom):
    """They do not come in."""

    method = "BANACK"


@dataclass(frozen=True, slots=True)
class UnbanAck(OfRoom):
    """They may come in."""

    method = "UNBANACK"


@dataclass(frozen=True, slots=True)
class MuteAck(OfRoom):
    """So it is."""

    method = "MUTEACK"


@dataclass(frozen=True, slots=True)
class OpAck(OfRoom):
    """So it is."""

    method = "OPACK"


@dataclass(frozen=True, slots=True)
class InviteAck(OfRoom):
    """They may come in, and were told if they are here."""

    method = "INVITEACK"


@dataclass(frozen=True, slots=True)
class SettingsAck(Bcp2Message):
    """So the room is now."""

    method = "SETTINGSACK"
    headers = (
        CSEQ,
        ROOM_OF,
        Header("Locked", "locked", read_yes, write_yes),
        Header("Invited", "invited", read_yes, write_yes),
        Header("Kept", "kept", read_yes, write_yes),
    )
    cseq: int
    room: str
    locked: bool
    invited: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class RoomsAck(Bcp2Message):
    """These there are; `Next` where more follow after that room."""

    method = "ROOMSACK"
    headers = (CSEQ, Header("Next", "next", read_room, str.lower, needed=False))
    body = Body("rooms", read_rooms, write_rooms, "body_from_server")
    cseq: int
    next: str = ""
    rooms: tuple[Listed, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined(Bcp2Message):
    """A push: `peerID` has come into `Room`."""

    method = "JOINED"
    headers = (ROOM_OF, PEER_ID, Header("Role", "role", read_role, needed=False))
    room: str
    peer_id: str
    role: str = "member"


@dataclass(frozen=True, slots=True)
class Parted(Bcp2Message):
    """A push: `peerID` is no longer in `Room`."""

    method = "PARTED"
    headers = (ROOM_OF, PEER_ID, Header("Reason", "reason", needed=False))
    room: str
    peer_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Changed(Bcp2Message):
    """A push: `From`, or without it the server's operator, did `What`.

    With whom: `peerID`, `Key` or `Address`; until when: `Until`; a topic is the body.
    """

    method = "CHANGED"
    headers = (
        ROOM_OF,
        Header("What", "what", one_of(*CHANGES)),
        FROM._replace(needed=False),
        WHO,
        KEY_OF,
        ADDRESS,
        UNTIL,
    )
    body = TOLD
    room: str
    what: str
    sender: str = ""
    peer_id: str = ""
    key: str = ""
    address: str = ""
    until: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Invited(Bcp2Message):
    """A push: `From` lets you into `Room`."""

    method = "INVITED"
    headers = (ROOM_OF, FROM._replace(needed=False))
    room: str
    sender: str = ""


def said_bytes(
    room: str, sender: str, number: int, date: str, text: bytes, cseq: int | None = None
) -> bytes:
    """A SAID as `encode` writes it, for values that have been read: many are sent every second."""
    answered = "" if cseq is None else f"CSeq: {cseq}\r\n"
    head = (
        f"SAID\r\n{answered}Room: {room}\r\nFrom: {sender}\r\nID: {number}\r\nDate: {date}\r\n"
        f"Content-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


def say_ack_bytes(cseq: int, room: str, number: int, date: str) -> bytes:
    """A SAYACK as `encode` writes it."""
    return (
        f"SAYACK\r\nCSeq: {cseq}\r\nRoom: {room}\r\nID: {number}\r\nDate: {date}\r\n\r\n".encode()
    )


FROM_SERVER: tuple[type[Bcp2Message], ...] = (
    JoinAck,
    PartAck,
    SayAck,
    HistoryAck,
    NamesAck,
    TopicAck,
    KickAck,
    BanAck,
    UnbanAck,
    MuteAck,
    OpAck,
    InviteAck,
    SettingsAck,
    RoomsAck,
    Said,
    Joined,
    Parted,
    Changed,
    Invited,
)
"""What a server may say about rooms."""
