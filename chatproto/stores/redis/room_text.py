"""Text of shared rooms in Redis: policies, members and lines as JSON, events as they are published.

Any program with access to Redis may have written anything: other types, deep nesting, huge numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatproto.rooms.history import RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import (
    LineSaid,
    MemberEntered,
    MemberLeft,
    PolicyChanged,
    RoomEvent,
    RoomSeat,
    SpokenBy,
)
from chatproto.stores.checks import check_room, policy_fields, read_policy, read_text
from chatproto.wire.fields import ID
from chatproto.wire.room_fields import ROOM

FIELDS: dict[str, Any] = {
    **dict.fromkeys(("owner", "topic", "secret"), str),
    **dict.fromkeys(("invited_only", "history"), bool),
    **dict.fromkeys(("ops", "mutes", "invited", "bans"), list),
    "used": float | int,
}
"""Fields of a policy that this version knows, with their types in JSON."""


POISON = (KeyError, OverflowError, TypeError, ValueError, RecursionError)
"""Exceptions of these functions for text that no server has written."""


def read_event(text: str, room: str) -> tuple[int, RoomEvent]:
    """Read the number of an event of a room, and the event. Raises one of POISON for invalid text."""
    number, _, rest = text.partition(" ")
    kind, _, rest = rest.partition(" ")
    name, _, body = rest.partition(" ")
    return int(number), _event(kind, name, body, room)


def _event(kind: str, name: str, body: str, room: str) -> RoomEvent:
    match kind:
        case "said":
            return read_line(int(name), body)
        case "entered" | "moved":
            return MemberEntered(read_member(name), read_seat(body), kind == "moved")
        case "left":
            [reason] = json.loads(body)
            return MemberLeft(read_member(name), read_text(reason))
        case "policy":
            fields, news = json.loads(body)
            if fields is None:
                return PolicyChanged(None, news, {})
            policy, unknown = parsed_policy(room, int(name), fields)
            return PolicyChanged(policy, news, unknown)
    raise ValueError


def written_policy(policy: RoomPolicy, unknown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a policy, with the `unknown` fields of a newer server."""
    return {**unknown, **policy_fields(policy), "name": policy.name}


def parsed_policy(name: str, version: int, fields: Any) -> tuple[RoomPolicy, dict[str, Any]]:
    """Read a policy and its unknown fields. Raises KeyError, TypeError or ValueError for invalid ones."""
    known = {one: fields[one] for one in FIELDS}
    fine = all(isinstance(known[one], kind) for one, kind in FIELDS.items())
    if not fine or ROOM.fullmatch(name) is None:
        raise ValueError
    read_text(known["topic"])
    policy = read_policy(name, known)
    check_room(policy)
    unknown = {one: value for one, value in fields.items() if one not in FIELDS and one != "name"}
    return replace(policy, version=version), unknown


def write_line(sender: str, at: float, text: str, spoken_by: SpokenBy) -> str:
    """Return a line as Redis stores it."""
    return json.dumps([sender, at, text, *spoken_by], ensure_ascii=False, separators=(",", ":"))


def read_line(number: int, text: str) -> LineSaid:
    """Read a line. Raises TypeError or ValueError for invalid text."""
    sender, at, said, node, connection, cseq = json.loads(text)
    if not (isinstance(said, str) and isinstance(node, str)):
        raise ValueError
    said.encode()  # JSON can contain half of a surrogate pair, which cannot be sent
    line = RoomLine(number, read_member(sender), float(at), said)
    return LineSaid(line, SpokenBy(node, int(connection), int(cseq)))


def read_member(name: Any) -> str:
    """Return `name` if it is a member's name. Raises TypeError or ValueError."""
    if ID.fullmatch(name) is None:
        raise ValueError
    return str(name)


def write_seat(seat: RoomSeat) -> str:
    """Return a member as Redis stores it."""
    return json.dumps(list(seat), separators=(",", ":"))


def read_seat(text: str) -> RoomSeat:
    """Read a member. Raises TypeError or ValueError for invalid text."""
    node, number, key, host = json.loads(text)
    if not all(isinstance(one, str) for one in (node, key, host)):
        raise ValueError
    return RoomSeat(node, int(number), key, host)
