"""Translate the client's events into IRC lines: messages, deliveries, calls, files, rooms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from chatproto.client.events import (
    Bye,
    Delivered,
    Event,
    Failed,
    FileChanged,
    IncomingCallEvent,
    MessageReceived,
    Notice,
    PresenceChanged,
    Registered,
    RoomChanged,
    Running,
    Sent,
    SessionChanged,
    Uncertain,
    Undelivered,
)
from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.ui.commands import ROWS
from chatproto.ui.irc.channels import Channels
from chatproto.ui.irc.lines import CHAT, CHAT_SOURCE, said
from chatproto.ui.irc.people import People
from chatproto.ui.view import plain_lines
from chatproto.wire.irc import IrcLine
from chatproto.wire.values import value_class

OF_NOBODY = (None, "register", "log", "call", "file")
"""Commands in a `Failed` that no front end sent: an automatic action failed."""
CALLS = 1000
"""Conversations whose nickname is stored; the oldest is removed first."""
_HINT = re.compile(r"(?<![\w/])/([a-z]+)(?=[\s,:;.)]|$)")


@value_class
class Told:
    """Lines for clients. `own`: our message, which its sender receives with echo-message only."""

    lines: tuple[IrcLine, ...]
    own: bool = False
    message: bool = False


def with_hints(text: str) -> str:
    """Return a sentence with our commands as they are written to `*chat`."""
    return _HINT.sub(
        lambda found: f"/msg {CHAT} {found[1]}" if found[1] in ROWS else found[0], text
    )


class EventLines:
    """Lines about events, for the peers and channels of one client. `now` returns the time of day."""

    def __init__(self, people: People, channels: Channels, now: Callable[[], Wall]) -> None:
        self._people = people
        self._channels = channels
        self._now = now
        self._last: dict[str, int] = {}  # the highest message number, by room
        self._calls: dict[int, str] = {}  # nicknames of conversations, by number

    def of(self, event: Event) -> list[Told]:
        """Return the lines about `event` for all clients; none for an answer to one of them."""
        match event:
            case MessageReceived(history=None):
                return self._message(event)
            case MessageReceived(room=str(room), id=int(id)) if id > self._last.get(room, 0):
                return self._message(event)  # sent while the server was lost
            case MessageReceived():
                return []
            case Sent():
                return self._sent(event)
            case Delivered(text=None):
                return []
            case Delivered() | Uncertain() | Undelivered():
                return self._about(event.to, event)
            case Notice(to=str(to)):
                return self._about(to, event)
            case SessionChanged():
                return self._session(event)
            case Bye() | PresenceChanged():
                return self._about(event.id, event)
            case FileChanged():
                return self._about(event.to or event.from_ or "", event)
            case IncomingCallEvent(ask=True):
                return self._call(event)
            case RoomChanged(change="joined", own=True):
                return [Told(tuple(self._channels.entered(event)))]
            case RoomChanged():
                return [Told(tuple(self._channels.changed(event, self._now())))]
            case Failed(command=command) if command not in OF_NOBODY:
                return []
            case Failed() | Notice() | Registered() | Running():
                return [self.chat(event)]
        return []

    def chat(self, event: Event) -> Told:
        """Return `event` as notices of `*chat`."""
        return Told(self._notices(event, CHAT_SOURCE, self._people.own_id))

    def said(self, event: MessageReceived | Sent, peer: str = "") -> list[Told]:
        """Return a message with its sender as the source, whenever it was sent.

        `peer`: the nickname of the other peer, if its name may belong to another key by now.
        """
        match event:
            case MessageReceived():
                return self._message(event, peer)
            case Sent():
                return self._sent(event)

    def _message(self, event: MessageReceived, peer: str = "") -> list[Told]:
        own, tags = self._people.own_id, self._tags(event, "r")
        if event.room is not None:
            nick, before = self._channels.member(event.room, event.from_)
            source = self._people.own_source if nick == own else self._people.source(nick)
            lines = said(source, "PRIVMSG", event.room, event.text, tags)
            return [*([Told(tuple(before))] if before else []), Told(lines, message=True)]
        if event.to is not None:
            nick = peer or self._people.of_name(event.to)
            lines = said(self._people.own_source, "PRIVMSG", nick, event.text, tags)
            return [Told(lines, message=True)]
        nick = peer or self._people.of_name(event.from_)
        account = self._people.account(nick)
        tags |= {"account": account} if account else {}
        lines = said(self._people.source(nick), "PRIVMSG", own, event.text, tags)
        return [Told(lines, message=True)]

    def _sent(self, event: Sent) -> list[Told]:
        tags = self._tags(event, "r" if event.room is not None else "s")
        target = event.room or self._people.of_name(event.to or "?")
        lines = said(self._people.own_source, "PRIVMSG", target, event.text, tags)
        return [Told(lines, own=True, message=True)]

    def _tags(self, event: MessageReceived | Sent, whose: str) -> dict[str, str]:
        """Return the tags of a message: its time and its unique id; store its number in its room."""
        at = event.said if event.said is not None else self._now()
        if event.room is not None and isinstance(event.id, int):
            self._last[event.room] = max(event.id, self._last.get(event.room, 0))
        number = {} if event.id is None else {"msgid": _msgid(event.id, at, whose)}
        return {"time": date_of(at), **number}

    def _session(self, event: SessionChanged) -> list[Told]:
        renamed = self._renamed(event)
        if event.current and event.dialect is None and event.path is None:
            return renamed  # changes the current target, which IRC does not have
        # Lines always name their recipient here, so there is no current one.
        return [*renamed, *self._about(event.id, replace(event, current=None))]

    def _renamed(self, event: SessionChanged) -> list[Told]:
        """Return the new nickname of a conversation that was shown under another one before."""
        now, call = self._people.of_name(event.id), self._people.call_of(event.id)
        before = self._people.of_name(event.was) if event.was is not None else now
        if call is not None:
            before = self._calls.pop(call, before)
            self._calls[call] = now
            if len(self._calls) > CALLS:
                del self._calls[next(iter(self._calls))]
        if before == now:
            return []
        self._channels.renamed(before, now)
        return [Told((IrcLine("NICK", (now,), source=self._people.source(before)),))]

    def _call(self, event: IncomingCallEvent) -> list[Told]:
        claimed = event.encrypted and not event.confirmed
        nick = self._people.of_name(f"{event.id}?" if claimed else event.id)
        told = self._notices(event, CHAT_SOURCE, self._people.own_id, last=1)
        how = f"/msg {CHAT} accept {nick}, or /msg {CHAT} decline {nick}"
        more = said(CHAT_SOURCE, "NOTICE", self._people.own_id, how)
        return [Told((*told, *more))]

    def _about(self, name: str, event: Event) -> list[Told]:
        """Return `event` as notices in the conversation with `name`, an id or a room."""
        if name.startswith("#"):
            return [Told(self._notices(event, CHAT_SOURCE, name))]
        source = self._people.source(self._people.of_name(name)) if name else CHAT_SOURCE
        return [Told(self._notices(event, source, self._people.own_id))]

    def _notices(
        self, event: Event, source: str, target: str, last: int | None = None
    ) -> tuple[IrcLine, ...]:
        texts: Iterable[str] = plain_lines(event, self._now())[:last]
        return tuple(
            line
            for text in texts
            for line in said(source, "NOTICE", target, with_hints(text.removeprefix("* ")))
        )


def _msgid(id: int | str, at: Wall, whose: str) -> str:
    """Return the unique id of a message: its number, its date, and the sender of the numbering."""
    return re.sub(r"[^A-Za-z0-9-]", "_", f"{id}-{round(float(at) * 1000):x}-{whose}")
