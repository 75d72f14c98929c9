"""Format room events as lines of the plain interface."""

from __future__ import annotations

from chatproto.client.events import RoomChanged
from chatproto.net.clock import Wall
from chatproto.net.dates import HOURS_AND_MINUTES, moment_of, short_time
from chatproto.ui.legible import bracket, inline, name, room_name

DONE = {
    "kicked": "removed {who}{why}",
    "banned": "banned {who}{until}",
    "unbanned": "lifted the ban of {who}",
    "muted": "muted {who}{until}",
    "unmuted": "unmuted {who}",
    "op": "made {who} a moderator{until}",
    "deop": "made {who} a plain member again",
    "settings": "changed the settings of the room",
    "invited": "invited {who}",
}
"""Words for each change of a room by a member."""


def room_lines(event: RoomChanged, now: Wall, form: str = HOURS_AND_MINUTES) -> list[str]:
    """Return `event` as lines without their mark.

    Args: now: seconds since 1970. form: of a time of day, as for `strftime`.
    """
    room = room_name(event.room)
    match event.change:
        case "joined" if event.own:
            return _ours(event, room)
        case "joined":
            return [f"{room} {_who(event)} joined"]
        case "parted" if event.reason == "kicked":
            return []  # shown before as the order of a member
        case "parted" if event.own:
            return [f"you are no longer in {room}{bracket(event.reason)}"]
        case "parted":
            return [f"{room} {_who(event)} left{bracket(event.reason)}"]
        case "current":
            return [f"what you type goes to {room} now"]
        case "invited" if event.own:
            return [f"{_by(event)} invites you to {room}: /join {room} enters it"]
        case "topic":
            topic = inline(event.text or "")
            return [
                f"{room} {_by(event)} set the topic: {topic}"
                if topic
                else f"{room} {_by(event)} removed the topic"
            ]
    until = f" until {_moment(event.until, now, form)}" if event.until else ""
    done = DONE.get(event.change, "did {what}")
    what, why = inline(event.change), bracket(event.reason)
    return [f"{room} {_by(event)} {done.format(who=_who(event), until=until, what=what, why=why)}"]


def _ours(event: RoomChanged, room: str) -> list[str]:
    count = event.count or 1
    others = "nobody else" if count == 1 else f"{count - 1} other{'s' if count > 2 else ''}"
    if event.again:
        return [f"in {room} again, with {others}"]
    lines = [f"in {room}, with {others} (the server can read)"]
    if event.text:
        lines.append(f"topic of {room}: {inline(event.text)}")
    return lines


def _moment(date: str, now: Wall, form: str) -> str:
    try:
        return short_time(moment_of(date), now, form=form)
    except ValueError:
        return inline(date)


def _who(event: RoomChanged) -> str:
    if event.own:
        return "you"
    return name(event.id or event.key or event.address or "?")


def _by(event: RoomChanged) -> str:
    return name(event.by) if event.by else "the server's operator"
