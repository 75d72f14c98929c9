"""BCP/2 about rooms, what a client asks (protocol section 3); `bcp2_rooms_told` is what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatproto.wire.bcp2_common import CSEQ, PEER_ID, Bcp2Message, read_yes, write_yes
from chatproto.wire.classic import Header
from chatproto.wire.room_fields import (
    AFTER,
    AFTER_ID,
    BEFORE,
    LIMIT,
    ROOM_OF,
    SECRET,
    TEXT,
    Barring,
    OfRoom,
    OfSomebody,
    read_room,
)


@dataclass(frozen=True, slots=True)
class Join(Bcp2Message):
    """Let me into `Room`; who opens it owns it, and its key is `Secret`."""

    method = "JOIN"
    headers = (CSEQ, ROOM_OF, SECRET)
    cseq: int
    room: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Part(OfRoom):
    """I leave `Room`."""

    method = "PART"


@dataclass(frozen=True, slots=True)
class Say(Bcp2Message):
    """Say `text` in `Room`."""

    method = "SAY"
    headers = (CSEQ, ROOM_OF)
    body = TEXT
    cseq: int
    room: str
    text: str


@dataclass(frozen=True, slots=True)
class History(Bcp2Message):
    """What was said after `After`, or before `Before`, or last, at most `Limit` messages."""

    method = "HISTORY"
    headers = (CSEQ, ROOM_OF, AFTER, BEFORE, LIMIT)
    cseq: int
    room: str
    after: int | None = None
    before: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Names(Bcp2Message):
    """Who is in `Room`: those after the id `After`, at most `Limit`."""

    method = "NAMES"
    headers = (CSEQ, ROOM_OF, AFTER_ID, LIMIT)
    cseq: int
    room: str
    after: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Topic(Bcp2Message):
    """The topic is `text` now; empty for none."""

    method = "TOPIC"
    headers = (CSEQ, ROOM_OF)
    body = TEXT
    cseq: int
    room: str
    text: str


@dataclass(frozen=True, slots=True)
class Kick(Bcp2Message):
    """Put `peerID` out of `Room`; they may come back."""

    method = "KICK"
    headers = (CSEQ, ROOM_OF, PEER_ID)
    cseq: int
    room: str
    peer_id: str


@dataclass(frozen=True, slots=True)
class Ban(Barring):
    """Put them out, and let them not in again, until `Until`."""

    method = "BAN"


@dataclass(frozen=True, slots=True)
class Unban(Barring):
    """Let them in again; `Until` means nothing here."""

    method = "UNBAN"


@dataclass(frozen=True, slots=True)
class Mute(OfSomebody):
    """Let `peerID` say nothing in `Room`, until `Until`."""

    method = "MUTE"


@dataclass(frozen=True, slots=True)
class Op(OfSomebody):
    """Let `peerID` put others out of `Room`, until `Until`."""

    method = "OP"


@dataclass(frozen=True, slots=True)
class Invite(OfSomebody):
    """Let `peerID` into `Room` without its key, until `Until`, and tell them."""

    method = "INVITE"


@dataclass(frozen=True, slots=True)
class Settings(Bcp2Message):
    """How `Room` is: its key (empty: none), whether only who is invited may in, whether it is kept.

    What is left out stays as it is; the answer tells all, but of a key only that there is one.
    """

    method = "SETTINGS"
    headers = (
        CSEQ,
        ROOM_OF,
        SECRET,
        Header("Invited", "invited", read_yes, write_yes, needed=False),
        Header("Kept", "kept", read_yes, write_yes, needed=False),
    )
    cseq: int
    room: str
    secret: str | None = field(default=None, repr=False)
    invited: bool | None = None
    kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Rooms(Bcp2Message):
    """Which rooms there are: those after `After`, at most `Limit`."""

    method = "ROOMS"
    headers = (CSEQ, Header("After", "after", read_room, str.lower, needed=False), LIMIT)
    cseq: int
    after: str = ""
    limit: int | None = None


FROM_CLIENT: tuple[type[Bcp2Message], ...] = (
    Join,
    Part,
    Say,
    History,
    Names,
    Topic,
    Kick,
    Ban,
    Unban,
    Mute,
    Op,
    Invite,
    Settings,
    Rooms,
)
"""What a client may say about rooms."""
