"""Events that the client reports to its user interface: one frozen dataclass each.

`event` is the event's name in the JSON interface; the fields are its keys there, without a trailing
underscore (`from_`). None is omitted, except in `Bridged`, whose nulls mean that there is no peer.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from chatproto.net.clock import Wall
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class


@value_class
class Event:
    """News for the user or a script."""

    event: ClassVar[str] = ""

    def __init_subclass__(cls, event: str = "") -> None:
        cls.event = event or cls.event  # slots create the class twice, then without it


@value_class
class Running(Event, event="running"):
    """The client has opened its port; `host` and `port` are announced to peers. `key`: its own."""

    id: str
    host: str
    port: int
    key: str | None = None


@value_class
class Registered(Event, event="registered"):
    """A server has registered the client. `expires`: lease in seconds, None with a classic server;
    `first`: the server's key was new.
    """

    server: str
    expires: int | None = None
    key: str | None = None
    first: bool = False


@value_class
class Contacts(Event, event="contacts"):
    """List of registered clients (/info): dicts of `id`, `host`, `port`, `key`.

    `prefix`: only ids that begin with it were requested.
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

    `host`, `port`: address of the peer; `reason`, `code`: why it is calling, broken or closed; `current`: it
    is the target of typed lines. `was`: previous name of the conversation.
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
    `state`, only of an own message in a log: `waiting`, `delivered`, `uncertain` or `undelivered`.
    `missed`: a room message sent while this client was away, shown for the first time.
    `other_key`: the sender's id in the room is pinned to another key than the sender's.
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
    """Own message `id` is stored in the peer's log. `text`: only of a message that was queued."""

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
    """Own message that has not arrived and will not. `text`: for sending it again."""

    to: str
    reason: str
    id: str | int | None = None
    text: str | None = None


@value_class
class FileChanged(Event, event="file"):
    """Transfer of a file or folder, to a peer (`to`) or from one (`from`); `id`: its number for commands.

    `offset`, `size`: bytes; `files`: number of files of a folder; `path`: where it was stored; `ask`:
    answer with /accept or /decline. An event with `progress` only reports progress, with
    `rate` in bytes per second and `left` in seconds.
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
    """A room or our membership changed. `change`: joined, parted, topic, kicked, banned, unbanned, muted,
    unmuted, op, deop, settings, invited.

    `id`: the member concerned; `by`: the member who did it; `own`: the member concerned is this client.
    When this client has joined, or joins a room again that it is in (`current`): `members`, all or the
    first of them, `count`, their number, and `again` after a lost connection. `text`: a topic.
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
    """A contact is `online` or `offline`; `away`: its /away text."""

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
    """Sentence for the user without an event of its own.

    For a queued message: `to`, its recipient; `id`, its number if it has one; `turn`: it is queued until
    our turn. For a lost server: `code`.
    """

    text: str
    to: str | None = None
    id: int | None = None
    code: Reason | None = None
    turn: bool | None = None


@value_class
class Failed(Event, event="error"):
    """A command could not be carried out. `text` is one sentence.

    `id`: the peer to be called; `path`: the file that cannot be sent; `retry_after`: seconds
    after which the command may be repeated; `why`: why a room refuses a join: `invitation` or `key` is
    required, or `banned`.
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
        """Return the event about `error`, with its code, status and retry time."""
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
