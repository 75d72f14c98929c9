"""Events that the client reports to its user interface: one frozen dataclass each.

`event` is the event's name in the JSON interface; the fields are its keys there, without a trailing
underscore (`from_`). None is left out, except in `Bridged`, whose nulls mean nobody.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from chatproto.net.clock import Wall
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class


@value_class
class Event:
    """Something a person or a program may want to know."""

    event: ClassVar[str] = ""


@value_class
class Running(Event):
    """Our own port is open; `host:port` is what others are told."""

    event: ClassVar[str] = "running"
    id: str
    host: str
    port: int
    key: str | None = None


@value_class
class Registered(Event):
    """A server knows us now. `expires`: seconds, None for a classic one; `first`: its key was new."""

    event: ClassVar[str] = "registered"
    server: str
    expires: int | None = None
    key: str | None = None
    first: bool = False


@value_class
class Contacts(Event):
    """List of registered clients (/info): dicts of `id`, `host`, `port`, `key`.

    `prefix`: only those whose id begins with it were asked for.
    """

    event: ClassVar[str] = "contacts"
    list: tuple[dict[str, Any], ...]
    prefix: str | None = None


@value_class
class Bridged(Event):
    """Peer returned by the server (/bridge); all None: nobody yet, we wait to be called."""

    event: ClassVar[str] = "bridged"
    id: str | None
    host: str | None
    port: int | None
    key: str | None = None


@value_class
class IncomingCallEvent(Event):
    """Incoming call. `ask`: the user must /accept or /decline.

    `path` is `relay` if `host` and `port` are those of the server that relays the call.
    """

    event: ClassVar[str] = "incoming"
    id: str
    host: str
    port: int
    encrypted: bool = False
    confirmed: bool = False
    key: str | None = None
    ask: bool = False
    path: str | None = None


@value_class
class SessionChanged(Event):
    """A conversation changed. `state`: calling, ringing, open, broken, closed; `turn`: mine, theirs, both.

    `host`, `port`: where it goes; `reason`, `code`: why it is calling, broken or closed; `current`: what is
    typed without a slash goes there now. `was`: another name that was used for it until now.
    """

    event: ClassVar[str] = "session"
    id: str
    state: str
    encrypted: bool | None = None
    security: str | None = None
    path: str | None = None
    mode: str | None = None
    turn: str | None = None
    host: str | None = None
    port: int | None = None
    dialect: str | None = None
    reason: str | None = None
    code: Reason | None = None
    current: bool | None = None
    was: str | None = None


@value_class
class MessageReceived(Event):
    """Message received from a peer, or in a room (`room`).

    `said`: the time of writing, in seconds since 1970, by the sender's clock; in a room, by the server's.
    `state`, only of one's own message in a log: `waiting`, `delivered`, `uncertain` or `undelivered`.
    """

    event: ClassVar[str] = "message"
    from_: str
    text: str
    id: str | int | None = None
    to: str | None = None
    room: str | None = None
    history: bool | None = None
    said: Wall | None = None
    state: str | None = None


@value_class
class Sent(Event):
    """A message of ours went out to a peer (`to`) or a room. `said`: the time at which it was typed."""

    event: ClassVar[str] = "sent"
    text: str
    id: str | int | None = None
    to: str | None = None
    room: str | None = None
    said: Wall | None = None


@value_class
class Delivered(Event):
    """The other side has it in its log. `text`: of one that was told to wait."""

    event: ClassVar[str] = "delivered"
    to: str
    id: str | int
    text: str | None = None


@value_class
class Uncertain(Event):
    """Message that was written and may not have arrived; without a number in a room."""

    event: ClassVar[str] = "uncertain"
    to: str
    id: str | int | None
    text: str | None = None


@value_class
class Undelivered(Event):
    """Message that has not arrived and will not. `text` lets its writer send it again."""

    event: ClassVar[str] = "undelivered"
    to: str
    reason: str
    id: str | int | None = None
    text: str | None = None


@value_class
class FileChanged(Event):
    """A file or folder on its way, to somebody (`to`) or from them; `id`: what the person calls it.

    `offset`, `size`: bytes; `files`: how many a folder has; `path`: where it lies; `rate`: bytes a
    second and `left`: seconds, where `progress` only says how far it is; `ask`: /accept or /decline.
    """

    event: ClassVar[str] = "file"
    id: int
    name: str
    state: str
    offset: int
    size: int
    from_: str | None = None
    to: str | None = None
    path: str | None = None
    files: int | None = None
    rate: int | None = None
    left: float | None = None
    reason: str | None = None
    code: Reason | None = None
    ask: bool | None = None
    progress: bool | None = None

    def row(self) -> dict[str, Any]:
        """Return the transfer as a value of a list."""
        keys = ("id", "name", "state", "offset", "size", "from_", "to", "path", "files")
        values = {key.rstrip("_"): getattr(self, key) for key in (*keys, "rate", "left")}
        return {key: value for key, value in values.items() if value is not None}


@value_class
class RoomChanged(Event):
    """Something happened in a room. `change`: joined, parted, topic, kicked, banned, unbanned, muted,
    unmuted, op, deop, settings, invited.

    `id`: who it is about, `by`: who did it. `members`, all or the first of them, only when we have
    joined, and `again` if the connection had broken; `count`: how many are in it. `text`: a topic.
    """

    event: ClassVar[str] = "room"
    room: str
    change: str
    id: str | None = None
    by: str | None = None
    members: tuple[str, ...] | None = None
    count: int | None = None
    role: str | None = None
    text: str | None = None
    until: str | None = None
    reason: str | None = None
    key: str | None = None
    address: str | None = None
    own: bool | None = None
    again: bool | None = None


@value_class
class PresenceChanged(Event):
    """A watched person is `online` or `offline`; `away`: the text of their /away."""

    event: ClassVar[str] = "presence"
    id: str
    status: str
    away: str | None = None


@value_class
class CommandOutput(Event):
    """Result of a command: `command` without its slash, `lines` for users, `data` for programs.

    In JSON the items of `data` stand beside `command`; `lines` are not sent.
    """

    event: ClassVar[str] = "answer"
    command: str
    lines: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@value_class
class Notice(Event):
    """Something worth one line to a person that no other event says (JSON: `notice`).

    Of a message that is kept: `to` whom, and its number `id` if it has one; `turn`: it waits for our
    turn. Of a server that is lost: `code`.
    """

    event: ClassVar[str] = "notice"
    text: str
    to: str | None = None
    id: int | None = None
    code: Reason | None = None
    turn: bool | None = None


@value_class
class Failed(Event):
    """A request could not be carried out. `text` is one sentence; `command` the request.

    `id`: whom a call was to go to; `path`: the file that cannot be sent; `retry_after`: seconds after
    which the request may be repeated.
    """

    event: ClassVar[str] = "error"
    text: str
    status: int | None = None
    command: str | None = None
    id: str | None = None
    path: str | None = None
    code: Reason = field(kw_only=True)
    retry_after: int | None = None

    @classmethod
    def of(cls, error: CodedError, command: str | None, id: str | None = None) -> Failed:
        """Return the event about `error`, with its code, status and the seconds to wait."""
        return cls(
            error.sentence,
            error.status,
            command,
            id,
            code=error.reason,
            retry_after=error.retry_after,
        )


@value_class
class CommandOver(Event):
    """A command with a reference is over (JSON: with its `ref`); `code`: what came of it.

    `status`, `text`: of the failure, if it failed.
    """

    event: ClassVar[str] = "done"
    command: str
    code: str
    status: int | None = None
    text: str | None = None
    done: bool = True


@value_class
class Bye(Event):
    """A person left a conversation."""

    event: ClassVar[str] = "bye"
    id: str
    reason: str | None = None
    code: Reason | None = None


@value_class
class Exited(Event):
    """The program ends with `code`."""

    event: ClassVar[str] = "exit"
    code: int
