"""The commands about rooms, and /search."""

from __future__ import annotations

from chatproto.ui.arguments import nothing
from chatproto.ui.room_arguments import (
    room_and_key,
    room_or_none,
    settings,
    somebody,
    somebody_for_a_time,
    topic,
    words,
)
from chatproto.ui.row import Node, Row

TIME = "time: 30m, 2h, 7d; without it for good."


def _topic(node: Node, given: tuple[str, ...]) -> None:
    what, text, room = given
    node.in_room.topic(text if what == "set" else None, room)


def _settings(node: Node, given: tuple[str, ...]) -> None:
    room, *changes = given
    wanted = dict(change.split("=", 1) for change in changes)
    invited, kept = (
        wanted[name] == "yes" if name in wanted else None for name in ("invited", "kept")
    )
    node.in_room.settings(room, wanted.get("key"), invited, kept)


ROOM_ROWS = (
    Row(
        "join",
        "/join room [key=KEY]",
        "come into a room; who opens it owns it",
        room_and_key,
        lambda node, given: node.rooms.join(*given),
        more="What you type goes there then. The server can read what is said in a room.",
        words=("key=",),
    ),
    Row(
        "part",
        "/part [#room]",
        "leave a room",
        room_or_none,
        lambda node, given: node.rooms.part(*given),
    ),
    Row("rooms", "/rooms", "which rooms there are", nothing, lambda node, _: node.in_room.rooms()),
    Row(
        "names",
        "/names [#room]",
        "who is in a room",
        room_or_none,
        lambda node, given: node.in_room.names(*given),
    ),
    Row(
        "topic",
        "/topic [@#room] [text]",
        "what a room is about, or is to be about",
        topic,
        _topic,
        more='/topic "" takes it away.',
    ),
    Row(
        "kick",
        "/kick id [#room]",
        "put somebody out of a room",
        somebody,
        lambda node, given: node.in_room.kick(*given),
        ids="",
    ),
    Row(
        "ban",
        "/ban who [time] [#room]",
        "put somebody out, and let them not in again",
        somebody_for_a_time,
        lambda node, given: node.in_room.ban(*given),
        more=f"who: an id, a key (sha256:...) or an address. {TIME}",
        ids="",
    ),
    Row(
        "unban",
        "/unban who [#room]",
        "let somebody in again",
        somebody,
        lambda node, given: node.in_room.unban(*given),
        ids="",
    ),
    Row(
        "mute",
        "/mute id [time] [#room]",
        "let somebody say nothing in a room",
        somebody_for_a_time,
        lambda node, given: node.in_room.mute(*given),
        more=f"{TIME} 0 takes it back.",
        ids="",
    ),
    Row(
        "op",
        "/op id [time] [#room]",
        "let somebody put others out",
        somebody_for_a_time,
        lambda node, given: node.in_room.op(*given),
        more=f"{TIME} 0 takes it back.",
        ids="",
    ),
    Row(
        "invite",
        "/invite id [#room]",
        "let somebody in without the room's key",
        somebody,
        lambda node, given: node.in_room.invite(*given),
        ids="",
    ),
    Row(
        "settings",
        "/settings [key=KEY] [invited=yes|no] [kept=yes|no] [#room]",
        "how a room is",
        settings,
        _settings,
        more="key: empty for none; invited: only who is; kept: what is said there.",
        words=("key=", "invited=yes", "invited=no", "kept=yes", "kept=no"),
    ),
    Row(
        "search",
        "/search words",
        "what was said with these words in it",
        words,
        lambda node, given: node.search(*given),
    ),
)
"""As `ui.commands.ROWS`."""
