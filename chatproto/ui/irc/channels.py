"""Show our rooms as channels: the members with their nicknames, and the changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chatproto.client.events import RoomChanged
from chatproto.net.clock import Wall
from chatproto.ui.irc import numerics
from chatproto.ui.irc.lines import CHAT_SOURCE, FACE, packed, reply
from chatproto.ui.irc.people import People
from chatproto.ui.irc.welcome import PREFIXES
from chatproto.ui.legible import inline, name
from chatproto.ui.room_view import room_lines
from chatproto.wire.irc import IrcLine

BANS = {"banned": "+b", "unbanned": "-b", "muted": "+q", "unmuted": "-q"}
RANKS = {"op": "+o", "deop": "-o"}


@dataclass(slots=True)
class Present:
    """Member of a channel, with the nickname under which it is shown there."""

    nick: str
    role: str = "member"

    @property
    def sign(self) -> str:
        """Return the prefix of the nickname."""
        return PREFIXES[self.role][1] if self.role in PREFIXES else ""


@dataclass(slots=True)
class Channel:
    """Room as it is shown to IRC clients; members by their ids at the server."""

    name: str
    topic: str = ""
    members: dict[str, Present] = field(default_factory=dict)

    def by_nick(self, nick: str, people: People) -> str | None:
        """Return the id of the member whose nickname is `nick`."""
        found = people.spelling(nick)
        return next((id for id, one in self.members.items() if one.nick == found), None)


class Channels:
    """All channels by name. Methods return the lines that show a change to clients."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._all: dict[str, Channel] = {}

    def __iter__(self) -> Iterator[Channel]:
        return iter(tuple(self._all.values()))

    def get(self, name: str) -> Channel | None:
        """Return the channel `name`, ignoring case."""
        return self._all.get(name.lower())

    def entered(self, event: RoomChanged) -> list[IrcLine]:
        """Enter a room; for a room that we are in already, compare its members."""
        found = [(id, "member") for id in event.members or ()]
        known = self._all.get(event.room)
        if known is not None:
            roles = {id: one.role for id, one in known.members.items()}
            known.topic = inline(event.text or "")
            if (event.count or 0) > len(found):
                return []  # the rest follows with the answer to NAMES
            return self.named(event.room, [(id, roles.get(id, role)) for id, role in found])
        channel = self._all[event.room] = Channel(event.room, inline(event.text or ""))
        own = self._people.own_id
        for id, role in [*found, (own, event.role or "member")]:
            channel.members[id] = Present(self._people.of_member(id), role)
        return self.opening(channel)

    def opening(self, channel: Channel) -> list[IrcLine]:
        """Return what a client is told when the channel appears."""
        nick = self._people.own_id
        lines = [IrcLine("JOIN", (channel.name,), source=self._people.own_source)]
        if channel.topic:
            lines.append(reply(nick, numerics.TOPIC, channel.name, channel.topic))
        return lines

    def names(self, channel: Channel) -> list[IrcLine]:
        """Return the answer to NAMES."""
        nick = self._people.own_id
        words = (f"{one.sign}{one.nick}" for one in channel.members.values())
        return [
            *packed(numerics.NAMES, ("=", channel.name), words, nick),
            reply(nick, numerics.END_OF_NAMES, channel.name, "End of NAMES"),
        ]

    def named(self, room: str, found: Iterable[tuple[str, str]]) -> list[IrcLine]:
        """Store the members of `room` with their roles from the server; return the changes."""
        channel = self._all.get(room)
        if channel is None:
            return []
        now = dict(found)
        lines: list[IrcLine] = []
        for id in [id for id in channel.members if id not in now and id != self._people.own_id]:
            lines.append(self._leaves(channel, id))
        for id, role in now.items():
            before = channel.members.get(id)
            if before is None:
                lines += self._comes(channel, id, role)
            elif before.role != role:
                lines += self._ranks(channel, before, role)
        return lines

    def member(self, room: str, id: str) -> tuple[str, list[IrcLine]]:
        """Return the nickname of a speaker in `room`, and the lines that must precede the message.

        A member whose key has changed has another nickname: the former one leaves.
        """
        nick = self._people.of_member(id)
        channel = self._all.get(room)
        if channel is None or id == self._people.own_id:
            return nick, []
        shown = channel.members.get(id)
        if shown is None or shown.nick == nick:
            return nick, []
        lines = [self._leaves(channel, id)]
        return nick, [*lines, *self._comes(channel, id, shown.role)]

    def renamed(self, before: str, now: str) -> None:
        """Note that clients received a new nickname of a member."""
        for channel in self._all.values():
            for one in channel.members.values():
                if one.nick == before:
                    one.nick = now

    def changed(self, event: RoomChanged, at: Wall) -> list[IrcLine]:
        """Return the lines about a change of a room. Entering is `entered`."""
        channel = self._all.get(event.room)
        if event.change == "invited" and event.own:
            inviter = self._people.source(self._people.of_member(event.by)) if event.by else FACE
            return [IrcLine("INVITE", (self._people.own_id, event.room), source=inviter)]
        if channel is None or event.change == "current":
            return []
        by = self._people.source(self._people.of_member(event.by)) if event.by else FACE
        match event.change:
            case "joined" if event.id and event.id not in channel.members:
                return self._comes(channel, event.id, event.role or "member")
            case "joined":
                return []
            case "parted" if event.own:
                del self._all[channel.name]
                return [_part(channel, self._people.own_source, event.reason or "")]
            case "parted":
                known = event.id in channel.members
                return [self._leaves(channel, event.id or "", event.reason or "")] if known else []
            case "topic":
                channel.topic = inline(event.text or "")
                return [IrcLine("TOPIC", (channel.name, channel.topic), source=by)]
            case "kicked":
                return self._kicked(channel, event, by)
        if event.change in RANKS and event.id in channel.members:
            one = channel.members[event.id]
            one.role = "op" if event.change == "op" else "member"
            return [IrcLine("MODE", (channel.name, RANKS[event.change], one.nick), source=by)]
        if event.change in BANS:
            mode = IrcLine("MODE", (channel.name, BANS[event.change], self._mask(event)), source=by)
            gone = self._kicked(channel, event, by) if event.change == "banned" else []
            return [mode, *gone]
        texts = (line.removeprefix(f"{channel.name} ") for line in room_lines(event, at))
        return [IrcLine("NOTICE", (channel.name, text), source=CHAT_SOURCE) for text in texts]

    def _kicked(self, channel: Channel, event: RoomChanged, by: str) -> list[IrcLine]:
        one = channel.members.get(event.id or "")
        if one is None:
            return []
        if event.own:
            del self._all[channel.name]
        else:
            del channel.members[event.id or ""]
        reason = inline(event.reason or event.change)
        return [IrcLine("KICK", (channel.name, one.nick, reason), source=by)]

    def _comes(self, channel: Channel, id: str, role: str) -> list[IrcLine]:
        one = channel.members[id] = Present(self._people.of_member(id))
        join = IrcLine("JOIN", (channel.name,), source=self._people.source(one.nick))
        return [join, *self._ranks(channel, one, role)]

    def _leaves(self, channel: Channel, id: str, reason: str = "") -> IrcLine:
        one = channel.members.pop(id)
        return _part(channel, self._people.source(one.nick), reason)

    def _ranks(self, channel: Channel, one: Present, role: str) -> list[IrcLine]:
        """Return the change of a member's role."""
        before, one.role = one.role, role
        lost, got = (PREFIXES[which][0] if which in PREFIXES else "" for which in (before, role))
        if lost == got:
            return []
        change = (f"-{lost}" if lost else "") + (f"+{got}" if got else "")
        nicks = [one.nick] * (len(change) // 2)
        return [IrcLine("MODE", (channel.name, change, *nicks), source=FACE)]

    def _mask(self, event: RoomChanged) -> str:
        if event.id:
            return f"*!{name(event.id)}@*"
        return event.key or event.address or "*"


def _part(channel: Channel, source: str, reason: str) -> IrcLine:
    reason = inline(reason)
    return IrcLine("PART", (channel.name, reason) if reason else (channel.name,), source=source)
