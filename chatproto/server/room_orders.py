"""Parse the operator's room commands into requests (PROTOCOL.md, Rooms)."""

from __future__ import annotations

import re

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.room import LOBBY
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import read_client_id
from chatproto.wire.room_fields import read_barred, read_room

USAGE = {
    "/say": "/say [#ROOM] TEXT: write to a room, without one to the lobby",
    "/kick": "/kick ID ROOM [REASON]: remove a client from a room",
    "/ban": "/ban ID|KEY|ADDRESS ROOM [TIME]: ban from a room",
    "/unban": "/unban ID|KEY|ADDRESS ROOM: lift a ban",
    "/mute": "/mute ID ROOM [TIME]: mute in a room, a TIME of 0 ends it",
    "/op": "/op ID ROOM [TIME]: make a moderator, a TIME of 0 ends it",
    "/invite": "/invite ID ROOM [TIME]: invite into a room",
    "/topic": '/topic ROOM TEXT: set the topic of a room, "" removes it',
    "/set": "/set ROOM [key=TEXT] [invited=yes|no] [kept=yes|no]: configure a room",
}
"""Syntax of each order."""
_TIME = re.compile(r"(\d{1,9})([smhd])|0")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_OF_SOMEBODY = {"/mute": bcp2_rooms.Mute, "/op": bcp2_rooms.Op, "/invite": bcp2_rooms.Invite}
_YES_OR_NO = {"yes": True, "no": False}


def read_order(command: str, rest: str, now: Wall) -> Bcp2Message:
    """Return the request for `command` with `rest`. Raises ValueError with one sentence."""
    try:
        message = _read(command, rest, now)
    except RemoteError as error:
        raise ValueError(error.detail) from None
    if message is None:
        raise ValueError(USAGE[command])
    return message


def _read(command: str, rest: str, now: Wall) -> Bcp2Message | None:
    match command, rest.split():
        case "/say", [_, *_]:
            room, _, text = rest.partition(" ") if rest.startswith("#") else (LOBBY, "", rest)
            return bcp2_rooms.Say(0, _room(room), text.strip()) if text.strip() else None
        case "/topic", [room, _, *_]:
            text = rest.partition(" ")[2].strip()
            return bcp2_rooms.Topic(0, _room(room), "" if text == '""' else text)
        case "/kick", [who, room, *reason]:
            return bcp2_rooms.Kick(0, _room(room), read_client_id(who), " ".join(reason))
        case (("/ban" | "/unban"), [who, room, *time]) if len(time) < 2:
            if command == "/unban":
                return bcp2_rooms.Unban(0, _room(room), *read_barred(who), *_until(time, now))
            if time and not duration(time[0]):
                raise RemoteError(400, "a ban of no time is none: /unban lifts one")
            return bcp2_rooms.Ban(0, _room(room), *read_barred(who), *_until(time, now))
        case (("/mute" | "/op" | "/invite"), [who, room, *time]) if len(time) < 2:
            return _OF_SOMEBODY[command](0, _room(room), read_client_id(who), *_until(time, now))
        case "/set", [room, *values]:
            return _settings(_room(room), values)
    return None


def done(answer: Bcp2Message | None) -> str:
    """Return the operator's confirmation for the answer to an order."""
    if isinstance(answer, bcp2_rooms.BanAck) and not answer.known:
        return (
            "done, but nobody has that id: the ban holds once somebody takes it (/unban lifts it)"
        )
    return "done"


def _until(time: list[str], now: Wall) -> tuple[str, ...]:
    """Parse a duration into the time at which it ends; empty for none. Raises RemoteError 400."""
    return (date_of(now + duration(time[0])),) if time else ()


def duration(text: str) -> int:
    """Return the seconds of a TIME such as 90s, 10m, 2h, 7d or 0. Raises RemoteError 400."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise RemoteError(400, f"{text!r} is no duration: write 90s, 10m, 2h or 7d")
    return int(match[1]) * _SECONDS[match[2]] if match[1] else 0


def _room(text: str) -> str:
    """Parse a room name, with or without its `#`. Raises RemoteError 400."""
    return read_room(text if text.startswith("#") else f"#{text}")


def _settings(room: str, values: list[str]) -> bcp2_rooms.Settings | None:
    found = dict(value.partition("=")[::2] for value in values)
    if not found or not found.keys() <= {"key", "invited", "kept"}:
        return None
    words = {name: found[name].lower() for name in ("invited", "kept") if name in found}
    if not set(words.values()) <= set(_YES_OR_NO):
        return None
    yes = {name: _YES_OR_NO[word] for name, word in words.items()}
    return bcp2_rooms.Settings(0, room, found.get("key"), yes.get("invited"), yes.get("kept"))
