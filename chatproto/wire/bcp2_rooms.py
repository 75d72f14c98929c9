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
    """Enter a room; the first client in it owns it, and its key is `Secret`.

        JOIN
        CSeq: 7
        Room: #tea
        Secret: sesame

    Sent by clients. Answered by JOINACK, or ERROR 403.
    """

    method = "JOIN"
    headers = (CSEQ, ROOM_OF, SECRET)
    cseq: int
    room: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Part(OfRoom):
    """Leave a room.

        PART
        CSeq: 7
        Room: #tea

    Sent by clients. Answered by PARTACK.
    """

    method = "PART"


@dataclass(frozen=True, slots=True)
class Say(Bcp2Message):
    """Say the body in a room.

        SAY
        CSeq: 7
        Room: #tea
        Content-Length: 5

        hello

    Sent by clients. Answered by SAYACK; the others receive SAID.
    """

    method = "SAY"
    headers = (CSEQ, ROOM_OF)
    body = TEXT
    cseq: int
    room: str
    text: str


@dataclass(frozen=True, slots=True)
class History(Bcp2Message):
    """Ask for messages after `After`, before `Before`, or the last ones.

        HISTORY
        CSeq: 7
        Room: #tea
        After: 40
        Limit: 100

    Sent by clients. At most `Limit` messages are sent as SAID, then HISTORYACK.
    """

    method = "HISTORY"
    headers = (CSEQ, ROOM_OF, AFTER, BEFORE, LIMIT)
    cseq: int
    room: str
    after: int | None = None
    before: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Names(Bcp2Message):
    """Ask who is in a room, from the id after `After` on.

        NAMES
        CSeq: 7
        Room: #tea
        After: alice
        Limit: 100

    Sent by clients. At most `Limit` are listed. Answered by NAMESACK.
    """

    method = "NAMES"
    headers = (CSEQ, ROOM_OF, AFTER_ID, LIMIT)
    cseq: int
    room: str
    after: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Topic(Bcp2Message):
    """Set the topic of a room to the body; an empty one removes it.

        TOPIC
        CSeq: 7
        Room: #tea
        Content-Length: 9

        green tea

    Sent by moderators. Answered by TOPICACK.
    """

    method = "TOPIC"
    headers = (CSEQ, ROOM_OF)
    body = TEXT
    cseq: int
    room: str
    text: str


@dataclass(frozen=True, slots=True)
class Kick(Bcp2Message):
    """Remove `peerID` from a room; the peer may come back.

        KICK
        CSeq: 7
        Room: #tea
        peerID: bob

    Sent by moderators. Answered by KICKACK.
    """

    method = "KICK"
    headers = (CSEQ, ROOM_OF, PEER_ID)
    cseq: int
    room: str
    peer_id: str


@dataclass(frozen=True, slots=True)
class Ban(Barring):
    """Remove a peer from a room and keep it out until `Until`.

        BAN
        CSeq: 7
        Room: #tea
        peerID: bob
        Until: 2026-12-01T00:00:00Z

    Sent by moderators. Exactly one of `peerID`, `Key` and `Address` is given. Answered by BANACK.
    """

    method = "BAN"


@dataclass(frozen=True, slots=True)
class Unban(Barring):
    """End a ban.

        UNBAN
        CSeq: 7
        Room: #tea
        peerID: bob

    Sent by moderators. `Until` is ignored. Answered by UNBANACK.
    """

    method = "UNBAN"


@dataclass(frozen=True, slots=True)
class Mute(OfSomebody):
    """Refuse messages of `peerID` in a room until `Until`.

        MUTE
        CSeq: 7
        Room: #tea
        peerID: bob
        Until: 2026-12-01T00:00:00Z

    Sent by moderators. A date in the past ends it. Answered by MUTEACK.
    """

    method = "MUTE"


@dataclass(frozen=True, slots=True)
class Op(OfSomebody):
    """Make `peerID` a moderator of a room until `Until`.

        OP
        CSeq: 7
        Room: #tea
        peerID: bob
        Until: 2026-12-01T00:00:00Z

    Sent by the owner. A date in the past ends it. Answered by OPACK.
    """

    method = "OP"


@dataclass(frozen=True, slots=True)
class Invite(OfSomebody):
    """Let `peerID` into a room without its key until `Until`, and tell it.

        INVITE
        CSeq: 7
        Room: #tea
        peerID: bob
        Until: 2026-12-01T00:00:00Z

    Sent by moderators. A date in the past ends it. Answered by INVITEACK.
    """

    method = "INVITE"


@dataclass(frozen=True, slots=True)
class Settings(Bcp2Message):
    """Change a room: its key (empty: none), whether only invited peers may join, whether it is kept.

        SETTINGS
        CSeq: 7
        Room: #tea
        Secret: sesame
        Invited: no
        Kept: yes

    Sent by the owner. Headers that are left out change nothing. Answered by SETTINGSACK.
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
    """Ask which rooms exist, from the one after `After` on.

        ROOMS
        CSeq: 7
        After: #cake
        Limit: 100

    Sent by clients. At most `Limit` are listed. Answered by ROOMSACK.
    """

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
