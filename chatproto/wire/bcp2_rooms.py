"""Define the BCP/2 messages about rooms (PROTOCOL.md section 3).

Clients send the requests; servers answer them and push the rest.
"""

from __future__ import annotations

from dataclasses import field

from chatproto.wire.actions import split_mark
from chatproto.wire.bcp2_common import (
    CSEQ,
    ID,
    KIND,
    PEER_ID,
    Bcp2Message,
    Body,
    OfRequest,
    one_of,
    read_count,
    read_yes,
    write_yes,
)
from chatproto.wire.classic import Header
from chatproto.wire.room_fields import (
    ADDRESS,
    AFTER,
    AFTER_ID,
    BEFORE,
    CHANGES,
    COUNT,
    DATE,
    FROM,
    KEY_OF,
    LIMIT,
    MORE,
    NEXT_ID,
    PEOPLE,
    REASON,
    ROOM_OF,
    SECRET,
    TEXT,
    TOLD,
    UNTIL,
    WHO,
    Barring,
    Listed,
    Occupant,
    OfRoom,
    OfSomebody,
    read_role,
    read_room,
    read_rooms,
    write_rooms,
)
from chatproto.wire.values import value_class

# Client to server.


@value_class
class Join(OfRoom):
    """Join a room; the first member owns it, and its key is `Secret`.

        JOIN
        CSeq: 7
        Room: #tea
        Secret: sesame

    Sent by clients. Answered by JOINACK, or ERROR 403.
    """

    method = "JOIN"
    headers = (*OfRoom.headers, SECRET)
    secret: str = field(default="", repr=False)


@value_class
class Part(OfRoom):
    """Leave a room.

        PART
        CSeq: 7
        Room: #tea

    Sent by clients. Answered by PARTACK.
    """

    method = "PART"


@value_class
class Say(OfRoom):
    """Send the body as a message to a room.

        SAY
        CSeq: 7
        Room: #tea
        Content-Length: 5

        hello

    `Kind: action` is /me. Sent by clients. Answered by SAYACK; the other members receive SAID.
    """

    method = "SAY"
    headers = (*OfRoom.headers, KIND)
    body = TEXT
    text: str
    kind: str = ""


@value_class
class History(OfRoom):
    """Request messages after `After`, before `Before`, or the last ones.

        HISTORY
        CSeq: 7
        Room: #tea
        After: 40
        Limit: 100

    Sent by clients. At most `Limit` messages are sent as SAID, then HISTORYACK.
    """

    method = "HISTORY"
    headers = (*OfRoom.headers, AFTER, BEFORE, LIMIT)
    after: int | None = None
    before: int | None = None
    limit: int | None = None


@value_class
class Names(OfRoom):
    """Request the members of a room, from the id after `After` on.

        NAMES
        CSeq: 7
        Room: #tea
        After: alice
        Limit: 100

    Sent by clients. At most `Limit` are listed. Answered by NAMESACK.
    """

    method = "NAMES"
    headers = (*OfRoom.headers, AFTER_ID, LIMIT)
    after: str = ""
    limit: int | None = None


@value_class
class Topic(OfRoom):
    """Set the topic of a room to the body; an empty one removes it.

        TOPIC
        CSeq: 7
        Room: #tea
        Content-Length: 9

        green tea

    Sent by moderators. Answered by TOPICACK.
    """

    method = "TOPIC"
    body = TEXT
    text: str


@value_class
class Kick(OfRoom):
    """Remove `peerID` from a room; the client may join again.

        KICK
        CSeq: 7
        Room: #tea
        peerID: bob
        Reason: flooding

    Sent by moderators. Answered by KICKACK.
    """

    method = "KICK"
    headers = (*OfRoom.headers, PEER_ID, REASON)
    peer_id: str
    reason: str = ""


@value_class
class Ban(Barring):
    """Remove a client from a room and refuse it until `Until`.

        BAN
        CSeq: 7
        Room: #tea
        peerID: bob
        Until: 2026-12-01T00:00:00Z

    Sent by moderators. Exactly one of `peerID`, `Key` and `Address` is given. Answered by BANACK.
    """

    method = "BAN"


@value_class
class Unban(Barring):
    """End a ban.

        UNBAN
        CSeq: 7
        Room: #tea
        peerID: bob

    Sent by moderators. `Until` is ignored. Answered by UNBANACK.
    """

    method = "UNBAN"


@value_class
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


@value_class
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


@value_class
class Invite(OfSomebody):
    """Allow `peerID` to join a room without its key until `Until`, and notify that client.

        INVITE
        CSeq: 7
        Room: #tea
        peerID: bob
        Until: 2026-12-01T00:00:00Z

    Sent by moderators. A date in the past ends it. Answered by INVITEACK.
    """

    method = "INVITE"


@value_class
class Settings(OfRoom):
    """Change a room: its key (empty: none), if joining needs an invitation, if it keeps history.

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
        *OfRoom.headers,
        SECRET,
        Header("Invited", "invited", read_yes, write_yes, needed=False),
        Header("Kept", "kept", read_yes, write_yes, needed=False),
    )
    secret: str | None = field(default=None, repr=False)
    invited: bool | None = None
    kept: bool | None = None


@value_class
class Rooms(OfRequest):
    """Request the rooms of the server, from the one after `After` on.

        ROOMS
        CSeq: 7
        After: #cake
        Limit: 100

    Sent by clients. At most `Limit` are listed. Answered by ROOMSACK.
    """

    method = "ROOMS"
    headers = (CSEQ, Header("After", "after", read_room, str.lower, needed=False), LIMIT)
    after: str = ""
    limit: int | None = None


# Server to client.


@value_class
class JoinAck(OfRoom):
    """Confirm JOIN: the number of members, the first of them, and the number of the last message.

        JOINACK
        CSeq: 7
        Room: #tea
        Count: 2
        Last: 41
        Role: op
        Topic: green tea
        Next: bob
        Content-Length: 18

        alice owner
        bob

    Sent by servers. The body has one `id` or `id role` a line; `Next` is there if more members follow.
    """

    method = "JOINACK"
    headers = (
        *OfRoom.headers,
        COUNT,
        Header("Last", "last", read_count),
        Header("Role", "role", read_role),
        Header("Topic", "topic", needed=False),
        NEXT_ID,
    )
    body = PEOPLE
    count: int
    last: int
    role: str
    topic: str = ""
    next: str = ""
    members: tuple[Occupant, ...] = ()


@value_class
class PartAck(OfRoom):
    """Confirm PART.

        PARTACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "PARTACK"


@value_class
class SayAck(OfRoom):
    """Confirm SAY: the message's number in the room, and its date.

        SAYACK
        CSeq: 7
        Room: #tea
        ID: 7
        Date: 2026-11-21T05:00:00Z

    Sent by servers.
    """

    method = "SAYACK"
    headers = (*OfRoom.headers, ID, DATE)
    id: int
    date: str


@value_class
class Said(Bcp2Message):
    """Deliver a message of a room.

        SAID
        Room: #tea
        From: alice
        ID: 7
        Date: 2026-11-21T05:00:00Z
        Content-Length: 5

        hello

    `Kind: action` is /me. Pushed by servers. With a CSeq it belongs to the answer to HISTORY.
    """

    method = "SAID"
    headers = (CSEQ._replace(needed=False), ROOM_OF, FROM, ID, DATE, KIND)
    body = TOLD
    room: str
    sender: str
    id: int
    date: str
    text: str
    cseq: int | None = None
    kind: str = ""


@value_class
class HistoryAck(OfRoom):
    """End the answer to HISTORY after `Count` messages.

        HISTORYACK
        CSeq: 7
        Room: #tea
        Count: 2
        More: yes

    `More: yes` if more messages follow in the same direction.
    """

    method = "HISTORYACK"
    headers = (*OfRoom.headers, COUNT, MORE)
    count: int
    more: bool = False


@value_class
class NamesAck(OfRoom):
    """List members of a room, one `id` or `id role` a line; `Count` is the number of all members.

        NAMESACK
        CSeq: 7
        Room: #tea
        Count: 2
        Next: bob
        Content-Length: 18

        alice owner
        bob

    Sent by servers. `Next` is there if more members follow after that id.
    """

    method = "NAMESACK"
    headers = (*OfRoom.headers, COUNT, NEXT_ID)
    body = PEOPLE
    count: int
    next: str = ""
    members: tuple[Occupant, ...] = ()


@value_class
class TopicAck(OfRoom):
    """Confirm TOPIC.

        TOPICACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "TOPICACK"


@value_class
class KickAck(OfRoom):
    """Confirm KICK.

        KICKACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "KICKACK"


@value_class
class BanAck(OfRoom):
    """Confirm BAN; `Known: no` if the banned id is not registered.

        BANACK
        CSeq: 7
        Room: #tea
        Known: no

    Sent by servers.
    """

    method = "BANACK"
    headers = (*OfRoom.headers, Header("Known", "known", read_yes, write_yes, needed=False))
    known: bool = True


@value_class
class UnbanAck(OfRoom):
    """Confirm UNBAN.

        UNBANACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "UNBANACK"


@value_class
class MuteAck(OfRoom):
    """Confirm MUTE.

        MUTEACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "MUTEACK"


@value_class
class OpAck(OfRoom):
    """Confirm OP.

        OPACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "OPACK"


@value_class
class InviteAck(OfRoom):
    """Confirm INVITE; the invited client was notified if it is connected.

        INVITEACK
        CSeq: 7
        Room: #tea

    Sent by servers.
    """

    method = "INVITEACK"


@value_class
class SettingsAck(OfRoom):
    """Report the settings of a room; `Locked` says if it has a key.

        SETTINGSACK
        CSeq: 7
        Room: #tea
        Locked: yes
        Invited: no
        Kept: yes

    Sent by servers. Answers SETTINGS.
    """

    method = "SETTINGSACK"
    headers = (
        *OfRoom.headers,
        Header("Locked", "locked", read_yes, write_yes),
        Header("Invited", "invited", read_yes, write_yes),
        Header("Kept", "kept", read_yes, write_yes),
    )
    locked: bool
    invited: bool
    kept: bool


@value_class
class RoomsAck(OfRequest):
    """List rooms, one `room members topic` a line.

        ROOMSACK
        CSeq: 7
        Next: #tea
        Content-Length: 18

        #tea 2 green tea

    Sent by servers. `Next` is there if more rooms follow after that one.
    """

    method = "ROOMSACK"
    headers = (CSEQ, Header("Next", "next", read_room, str.lower, needed=False))
    body = Body("rooms", read_rooms, write_rooms, "body_from_server")
    next: str = ""
    rooms: tuple[Listed, ...] = ()


@value_class
class Joined(Bcp2Message):
    """Report that `peerID` has joined a room.

        JOINED
        Room: #tea
        peerID: bob
        Role: op

    Pushed by servers.
    """

    method = "JOINED"
    headers = (ROOM_OF, PEER_ID, Header("Role", "role", read_role, needed=False))
    room: str
    peer_id: str
    role: str = "member"


@value_class
class Parted(Bcp2Message):
    """Report that `peerID` has left a room.

        PARTED
        Room: #tea
        peerID: bob
        Reason: did not read

    Pushed by servers.
    """

    method = "PARTED"
    headers = (ROOM_OF, PEER_ID, REASON)
    room: str
    peer_id: str
    reason: str = ""


@value_class
class Changed(Bcp2Message):
    """Report a change of a room by a moderator, or without `From` by the server's operator.

        CHANGED
        Room: #tea
        What: mute
        From: alice
        peerID: bob
        Until: 2026-12-01T00:00:00Z
        Content-Length: 0

    Pushed by servers. `peerID`, `Key` or `Address` name the client concerned; the body is a new topic,
    or the reason of a kick.
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


@value_class
class Invited(Bcp2Message):
    """Report that `From` invites this client to a room.

        INVITED
        Room: #tea
        From: alice

    Pushed by servers.
    """

    method = "INVITED"
    headers = (ROOM_OF, FROM._replace(needed=False))
    room: str
    sender: str = ""


def said_bytes(
    room: str, sender: str, number: int, date: str, text: str, cseq: int | None = None
) -> bytes:
    """Return a SAID as `encode` writes it, quickly, for values that were read from the wire.

    `text` has its prefix if it is an action.
    """
    said, kind = split_mark(text)
    body = said.encode()
    answered = "" if cseq is None else f"CSeq: {cseq}\r\n"
    kinds = f"Kind: {kind}\r\n" if kind else ""
    head = (
        f"SAID\r\n{answered}Room: {room}\r\nFrom: {sender}\r\nID: {number}\r\nDate: {date}\r\n"
        f"{kinds}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def say_ack_bytes(cseq: int, room: str, number: int, date: str) -> bytes:
    """Return a SAYACK as `encode` writes it, quickly."""
    return (
        f"SAYACK\r\nCSeq: {cseq}\r\nRoom: {room}\r\nID: {number}\r\nDate: {date}\r\n\r\n".encode()
    )


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
"""Messages about rooms that a client may send."""
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
"""Messages about rooms that a server may send."""
