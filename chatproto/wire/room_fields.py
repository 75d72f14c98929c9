"""Read and write the header values and bodies of room messages (PROTOCOL.md section 3)."""

from __future__ import annotations

import re
from typing import ClassVar, NamedTuple

from chatproto.wire.bcp2_common import (
    PEER_ID,
    Body,
    OfRequest,
    one_of,
    plain_ip,
    read_count,
    read_date,
    read_key,
    read_lines,
    read_text,
    read_yes,
    write_lines,
    write_yes,
)
from chatproto.wire.classic import Header
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import read_client_id
from chatproto.wire.values import distinct, value_class

ROOM = re.compile(r"#[a-z0-9][a-z0-9._-]{0,62}")
"""Canonical form of a room name, which is stored; on receipt the case does not matter."""
ROLES = ("member", "muted", "op", "owner", "open")
"""Roles in a room; `open`: a plain-text client of the lobby port."""
CHANGES = ("topic", "kick", "ban", "unban", "mute", "op", "settings")
"""Changes that CHANGED reports."""
SECRET_BYTES = 200
KEY_LIKE = re.compile("sha256:", re.IGNORECASE)
ADDRESS_LIKE = re.compile(r"\d+(\.\d+){3}|.*:.*")
"""Form of an address. An id may have digits and dots, too: only four numbers are an address."""


@distinct
class Occupant(NamedTuple):
    """A member of a room and its role, one of `ROLES`."""

    id: str
    role: str = "member"


@distinct
class Listed(NamedTuple):
    """Room in a list: its name, its number of members, and its topic."""

    room: str
    members: int
    topic: str = ""


def read_room(text: str) -> str:
    """Read a room name; return it in the form of `ROOM`. Raises RemoteError 400."""
    name = text.lower() if text.isascii() else ""
    if ROOM.fullmatch(name):
        return name
    raise RemoteError(400, f"no room: {text!r}")


def read_barred(text: str) -> tuple[str, str, str]:
    """Return the typed id, key or address at its position among the three, the others empty.

    Raises RemoteError 400.
    """
    try:
        if KEY_LIKE.match(text):
            return "", read_key(text), ""
        if ADDRESS_LIKE.fullmatch(text):
            return "", "", plain_ip(text)
        return read_client_id(text), "", ""
    except RemoteError:
        raise RemoteError(400, f'"{text}" is no id, key or address') from None


def read_secret(text: str) -> str:
    """Read a room's key, at most `SECRET_BYTES` bytes; empty for none. Raises RemoteError 400."""
    if len(text.encode("utf-8", "replace")) <= SECRET_BYTES:
        return text
    raise RemoteError(400, "a room's key is too long")


def read_occupants(data: bytes) -> tuple[Occupant, ...]:
    """Read lines `id` or `id role`, each with its CRLF. Raises RemoteError 400."""
    found = []
    for line in read_lines(data):
        name, blank, role = line.partition(" ")
        role = read_role(role) if blank else "member"
        found.append(Occupant(read_client_id(name), role))
    return tuple(found)


def write_occupants(occupants: tuple[Occupant, ...]) -> bytes:
    """Write members as lines. Raises LocalError 400 for values that would be read differently."""
    return write_lines(
        [one.id if one.role == "member" else f"{one.id} {one.role}" for one in occupants],
        occupants,
        read_occupants,
    )


def read_rooms(data: bytes) -> tuple[Listed, ...]:
    """Read lines `room members topic`, each with its CRLF. Raises RemoteError 400."""
    found = []
    for line in read_lines(data):
        name, _, rest = line.partition(" ")
        members, _, topic = rest.partition(" ")
        found.append(Listed(read_room(name), read_count(members), topic))
    return tuple(found)


def write_rooms(rooms: tuple[Listed, ...]) -> bytes:
    """Write rooms as lines. Raises LocalError 400 for values that would be read differently."""
    return write_lines(
        [f"{one.room} {one.members} {one.topic}" for one in rooms], rooms, read_rooms
    )


read_role = one_of(*ROLES)
ROOM_OF = Header("Room", "room", read_room, str.lower)
FROM = Header("From", "sender", read_client_id)
DATE = Header("Date", "date", read_date)
AFTER = Header("After", "after", read_count, needed=False)
BEFORE = Header("Before", "before", read_count, needed=False)
LIMIT = Header("Limit", "limit", read_count, needed=False)
COUNT = Header("Count", "count", read_count)
MORE = Header("More", "more", read_yes, write_yes, needed=False)
UNTIL = Header("Until", "until", read_date, needed=False)
WHO = PEER_ID._replace(needed=False)
KEY_OF = Header("Key", "key", read_key, needed=False)
ADDRESS = Header("Address", "address", plain_ip, needed=False)
REASON = Header("Reason", "reason", needed=False)
SECRET = Header("Secret", "secret", read_secret, needed=False, secret=True)
AFTER_ID = Header("After", "after", read_client_id, needed=False)
NEXT_ID = Header("Next", "next", read_client_id, needed=False)
TEXT = Body("text", read_text, str.encode, "body_to_server")
TOLD = Body("text", read_text, str.encode, "body_from_server")
PEOPLE = Body("members", read_occupants, write_occupants, "body_from_server")


@value_class
class OfRoom(OfRequest):
    """Base class of requests about a room, and of their answers."""

    headers: ClassVar[tuple[Header, ...]] = (*OfRequest.headers, ROOM_OF)
    room: str


@value_class
class OfSomebody(OfRoom):
    """Base class of requests about a member of a room, perhaps until a date.

    A date in the past ends the effect of an earlier request.
    """

    headers = (*OfRoom.headers, PEER_ID, UNTIL)
    peer_id: str
    until: str = ""


@value_class
class Barring(OfRoom):
    """Base class of BAN and UNBAN: exactly one of id, key and address, and perhaps a date."""

    headers = (*OfRoom.headers, WHO, KEY_OF, ADDRESS, UNTIL)
    peer_id: str = ""
    key: str = ""
    address: str = ""
    until: str = ""
