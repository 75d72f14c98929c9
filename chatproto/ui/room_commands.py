"""The commands about rooms, and /search."""

from __future__ import annotations

from chatproto.client.app import Client
from chatproto.ui.arguments import nothing
from chatproto.ui.room_arguments import (
    duration,
    kicked,
    room_and_key,
    room_or_none,
    settings,
    somebody,
    somebody_for_a_time,
    topic,
    words,
)
from chatproto.ui.row import CommandRow
from chatproto.ui.values import Field, any_text, flag, name, text, word

TIME = "time: 30m, 2h or 7d. Without a time: for good."


def _topic(client: Client, given: tuple[str, ...]) -> None:
    what, text, room = given
    client.in_room.topic(text if what == "set" else None, room)


def _settings(client: Client, given: tuple[str, ...]) -> None:
    room, *changes = given
    wanted = dict(change.split("=", 1) for change in changes)
    invited, kept = (
        wanted[name] == "yes" if name in wanted else None for name in ("invited", "kept")
    )
    client.in_room.settings(room, wanted.get("key"), invited, kept)


def _topic_values(found: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    shown = ("set", *found["text"]) if found["text"] else ("show", "")
    return (*shown, *found["room"])


def _settings_values(found: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    changes = (f"{key}={part[0]}" for key, part in found.items() if key != "room" and part)
    return (*found["room"], *changes)


ROOM_ROWS = (
    CommandRow(
        "join",
        "/join room [key=KEY]",
        "join a room, or open it: then you own it",
        room_and_key,
        lambda client, given: client.rooms.join(*given),
        more="What you type then goes to the room. The server can read room messages.",
        words=("key=",),
        fields=(
            Field("room", name, missing=None),
            Field("key", word),
        ),
        rooms="",
    ),
    CommandRow(
        "part",
        "/part [#room]",
        "leave a room",
        room_or_none,
        lambda client, given: client.rooms.part(*given),
        fields=(Field("room", name),),
        target=0,
        rooms="",
    ),
    CommandRow(
        "rooms",
        "/rooms",
        "list the rooms of the server",
        nothing,
        lambda client, _: client.in_room.rooms(),
    ),
    CommandRow(
        "names",
        "/names [#room]",
        "list the members of a room",
        room_or_none,
        lambda client, given: client.in_room.names(*given),
        fields=(Field("room", name),),
        rooms="",
    ),
    CommandRow(
        "topic",
        "/topic [@#room] [text]",
        "show or set the topic of a room",
        topic,
        _topic,
        more='/topic "" removes it.',
        fields=(
            Field("text", any_text, missing=()),
            Field("room", name),
        ),
        arrange=_topic_values,
        target=2,
        rooms="@",
        text=True,
    ),
    CommandRow(
        "kick",
        "/kick id [#room] [reason]",
        "remove a member from a room",
        kicked,
        lambda client, given: client.in_room.kick(*given),
        ids="",
        fields=(
            Field("id", name, missing=None),
            Field("room", name),
            Field("reason", any_text),
        ),
        target=1,
        rooms="",
    ),
    CommandRow(
        "ban",
        "/ban id|key|address [time] [#room]",
        "remove a member and refuse their return",
        somebody_for_a_time,
        lambda client, given: client.in_room.ban(*given),
        more=f"A key looks like sha256:... {TIME}",
        ids="",
        fields=(
            Field("id", name, missing=None),
            Field("time", duration),
            Field("room", name),
        ),
        target=2,
        rooms="",
        words=("30m", "2h", "7d"),
    ),
    CommandRow(
        "unban",
        "/unban id|key|address [#room]",
        "lift a ban",
        somebody,
        lambda client, given: client.in_room.unban(*given),
        ids="",
        fields=(
            Field("id", name, missing=None),
            Field("room", name),
        ),
        target=1,
        rooms="",
    ),
    CommandRow(
        "mute",
        "/mute id [time] [#room]",
        "mute a member of a room",
        somebody_for_a_time,
        lambda client, given: client.in_room.mute(*given),
        more=f"{TIME} 0 ends it.",
        ids="",
        fields=(
            Field("id", name, missing=None),
            Field("time", duration),
            Field("room", name),
        ),
        target=2,
        rooms="",
        words=("30m", "2h", "7d"),
    ),
    CommandRow(
        "op",
        "/op id [time] [#room]",
        "make a member a moderator",
        somebody_for_a_time,
        lambda client, given: client.in_room.op(*given),
        more=f"{TIME} 0 ends it.",
        ids="",
        fields=(
            Field("id", name, missing=None),
            Field("time", duration),
            Field("room", name),
        ),
        target=2,
        rooms="",
        words=("30m", "2h", "7d"),
    ),
    CommandRow(
        "invite",
        "/invite id [#room]",
        "invite a peer into a room",
        somebody,
        lambda client, given: client.in_room.invite(*given),
        ids="",
        fields=(
            Field("id", name, missing=None),
            Field("room", name),
        ),
        target=1,
        rooms="",
    ),
    CommandRow(
        "settings",
        "/settings [key=KEY] [invited=yes|no] [kept=yes|no] [#room]",
        "configure a room",
        settings,
        _settings,
        more="key=: no key. invited: by invitation only. kept: the server keeps the history.",
        words=("key=", "invited=yes", "invited=no", "kept=yes", "kept=no"),
        fields=(
            Field("room", name),
            Field("key", word, missing=()),
            Field("invited", flag, missing=()),
            Field("kept", flag, missing=()),
        ),
        arrange=_settings_values,
        target=0,
        rooms="",
    ),
    CommandRow(
        "search",
        "/search words",
        "search messages for words",
        words,
        lambda client, given: client.outbox.search(*given),
        fields=(Field("text", text, missing=None),),
    ),
)
"""As `ui.commands.ROWS`."""
