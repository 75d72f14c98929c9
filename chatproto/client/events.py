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
    """News for the user or a program."""

    event: ClassVar[str] = ""

    def __init_subclass__(cls, event: str = "") -> None:
        cls.event = event or cls.event  # a class with slots is made twice, the second time without


@value_class
class Running(Event, event="running"):
    """The client has opened its port; `host` and `port` are what others are told. `key`: its own."""

    id: str
    host: str
    port: int
    key: str | None = None


@value_class
class Registered(Event, event="registered"):
    """A server has registered the client. `expires`: seconds of the lease, none with a classic server;
    `first`: the server's key was new.
    """

    server: str
    expires: int | None = None
    key: str | None = None
    first: bool = False


@value_class
class Contacts(Event, event="contacts"):
    """List of registered clients (/info): dicts of `id`, `host`, `port`, `key`.

    `prefix`: only those whose id begins with it were asked for.
    """

    list: tuple[dict[str, Any], ...]
    prefix: str | None = None


@value_class
class Bridged(Event, event="bridged"):
    """Peer returned by the server (/bridge). All null: there is none yet, and the client waits for a call."""

    id: str | None
    host: str | None
    port: int | None
    key: str | None = None


@value_class
class IncomingCallEvent(Event, event="incoming"):
    """Incoming call. `ask`: the user must /accept or /decline.

    `path` is `relay` if `host` and `port` are those of the server that relays the call.
    """

    id: str
    host: str
    port: int
    encrypted: bool = False
    confirmed: bool = False
    key: str | None = None
    ask: bool = False
    path: str | None = None


@value_class
class SessionChanged(Event, event="session"):
    """A conversation changed. `state`: calling, ringing, open, broken, closed; `turn`: mine, theirs, both.

    `host`, `port`: where it goes; `reason`, `code`: why it is calling, broken or closed; `current`: what is
    typed without a slash goes there now. `was`: another name that was used for it until now.
    """

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
class MessageReceived(Event, event="message"):
    """Message received from a peer, or in a room (`room`).

    `said`: the time of writing, in seconds since 1970, by the sender's clock; in a room, by the server's.
    `state`, only of one's own message in a log: `waiting`, `delivered`, `uncertain` or `undelivered`.
    `missed`: it was said in a room while this client was away, and is shown for the first time.
    `other_key`: it was said in a room under an id that is pinned to another key than its owner has now.
    """

    from_: str
    text: str
    id: str | int | None = None
    to: str | None = None
    room: str | None = None
    history: bool | None = None
    said: Wall | None = None
    state: str | None = None
    missed: bool | None = None
    other_key: bool | None = None


@value_class
class Sent(Event, event="sent"):
    """Own message that was sent to a peer (`to`) or a room. `said`: the time at which it was typed."""

    text: str
    id: str | int | None = None
    to: str | None = None
    room: str | None = None
    said: Wall | None = None


@value_class
class Delivered(Event, event="delivered"):
    """Own message `id` is in the peer's log. `text`: of a message that was queued."""

    to: str
    id: str | int
    text: str | None = None


@value_class
class Uncertain(Event, event="uncertain"):
    """Own message that was sent and may not have arrived; without an `id` in a room."""

    to: str
    id: str | int | None
    text: str | None = None


@value_class
class Undelivered(Event, event="undelivered"):
    """Own message that has not arrived and will not. `text`: to send it again."""

    to: str
    reason: str
    id: str | int | None = None
    text: str | None = None


@value_class
class FileChanged(Event, event="file"):
    """Transfer of a file or folder, to a peer (`to`) or from one (`from`); `id`: its number for commands.

    `offset`, `size`: bytes; `files`: number of files of a folder; `path`: of what was received; `ask`:
    answer with /accept or /decline. An event with `progress` only tells how far the transfer is, with
    `rate` in bytes a second and `left` in seconds.
    """

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
        more = ("rate", "left", "reason")
        values = {key.rstrip("_"): getattr(self, key) for key in (*keys, *more)}
        return {key: value for key, value in values.items() if value is not None}


@value_class
class RoomChanged(Event, event="room"):
    """Something happened in a room. `change`: joined, parted, topic, kicked, banned, unbanned, muted,
    unmuted, op, deop, settings, invited.

    `id`: the member concerned; `by`: the member who did it; `own`: the member concerned is this client.
    When this client has joined, or joins a room in which it is already (`current`): `members`, all or the
    first of them, `count`, their number, and `again` after a break of the connection. `text`: a topic.
    """

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
class PresenceChanged(Event, event="presence"):
    """A contact is `online` or `offline`; `away`: the text of their /away."""

    id: str
    status: str
    away: str | None = None


@value_class
class CommandOutput(Event, event="answer"):
    """Result of a command: `command` without its slash, `lines` for users, `data` for programs.

    In JSON the items of `data` stand beside `command`; `lines` are not sent.
    """

    command: str
    lines: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@value_class
class Notice(Event, event="notice"):
    """Sentence for the user that no other event tells.

    Of a message that is queued: `to`, its recipient; `id`, its number if it has one; `turn`, if it waits
    for the turn of this client. Of a server that is lost: `code`.
    """

    text: str
    to: str | None = None
    id: int | None = None
    code: Reason | None = None
    turn: bool | None = None


@value_class
class Failed(Event, event="error"):
    """A command could not be carried out. `text` is one sentence.

    `id`: the peer that was to be called; `path`: the file that cannot be sent; `retry_after`: seconds
    after which the command may be repeated; `why`: what a room that refuses a join asks for, `invitation`
    or `key`, or `banned`.
    """

    text: str
    status: int | None = None
    command: str | None = None
    id: str | None = None
    path: str | None = None
    code: Reason = field(kw_only=True)
    retry_after: int | None = None
    why: str | None = None

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
            why=error.why or None,
        )


@value_class
class CommandOver(Event, event="done"):
    """A command with a reference has ended; `code`: its outcome.

    `status`, `text`: of the failure, if it failed.
    """

    command: str
    code: str
    status: int | None = None
    text: str | None = None
    done: bool = True


@value_class
class Bye(Event, event="bye"):
    """The peer left the conversation."""

    id: str
    reason: str | None = None
    code: Reason | None = None


@value_class
class Exited(Event, event="exit"):
    """The program ends with `code`."""

    code: int
