"""Events that a program receives: one frozen dataclass each, created from objects of the JSON
interface.

`parse` never fails: an object of an unknown kind, or without a field that its kind needs, is an
`OtherEvent`. Fields that a class does not have are in `fields`, and so is `time`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chatproto.api.asking import Asker, Fields, Sending, accepting, nothing, sending

_NOTHING: Mapping[str, Any] = {}
Needed = TypeVar("Needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Any event. `fields`: the whole JSON object."""

    fields: Fields = field(default_factory=lambda: _NOTHING, repr=False, compare=False)
    _asker: Asker | None = field(default=None, repr=False, compare=False)

    def _me(self) -> Asker:
        if self._asker is None:
            raise ValueError("this event belongs to no client")
        return self._asker


@dataclass(frozen=True, slots=True)
class Message(Event):
    """A message from a peer, or in a room if `room` is not None.

    `said`: its date as ISO 8601 text. `past`: it is from a log, and not new. `action`: it was written
    with /me.
    """

    sender: str
    text: str
    room: str | None = None
    id: str | int | None = None
    said: str | None = None
    past: bool = False
    action: bool = False

    def reply(self, text: str) -> Awaitable[Sending]:
        """Send `text` to the room or peer of the message. See `Client.send`."""
        to = self.sender if self.room is None else self.room
        return self._me().ask({"do": "msg", "to": to, "text": text}, sending(to))


@dataclass(frozen=True, slots=True)
class Sent(Event):
    """A message of our own was sent to a peer or a room (`to`)."""

    to: str
    text: str
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Delivered(Event):
    """The peer `to` has stored message `id`."""

    to: str
    id: str | int


@dataclass(frozen=True, slots=True)
class Unconfirmed(Event):
    """Message `id` was written, and may not have arrived."""

    to: str
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Undelivered(Event):
    """Message `id` was not delivered and will not be."""

    to: str
    code: str
    reason: str = ""
    id: str | int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming(Event):
    """A peer calls. `ask`: the call waits for `accept` or `decline`; otherwise it was accepted already.

    `confirmed`: the server says that `key` belongs to `id`.
    """

    id: str
    host: str = ""
    port: int = 0
    encrypted: bool = False
    confirmed: bool = False
    key: str | None = None
    ask: bool = False

    def accept(self) -> Awaitable[None]:
        """Accept the call."""
        return self._answer("accept")

    def decline(self) -> Awaitable[None]:
        """Refuse the call. One that was accepted already continues."""
        return self._answer("decline")

    def _answer(self, do: str) -> Awaitable[None]:
        if not self.ask:
            return self._me().settled()
        return self._me().ask({"do": do, "id": self.id}, nothing)


@dataclass(frozen=True, slots=True)
class SessionChanged(Event):
    """The conversation with `id` is now `calling`, `asking`, `ringing`, `open`, `broken` or `closed`."""

    id: str
    state: str
    encrypted: bool | None = None
    path: str | None = None
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Bye(Event):
    """The peer `id` left the conversation."""

    id: str
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FileOffered(Event):
    """A peer offers a file, or a folder of `files` files, of `size` bytes; it waits for an answer."""

    id: int
    sender: str
    name: str
    size: int
    files: int | None = None

    def accept(self, folder: str | os.PathLike[str] | None = None) -> Awaitable[None]:
        """Accept it; `FileChanged` reports when it is complete.

        Args: folder: for this file, instead of the client's folder for downloads.
        """
        return self._me().ask(accepting(self.id, folder), nothing)

    def decline(self) -> Awaitable[None]:
        """Refuse it."""
        return self._me().ask({"do": "decline", "id": self.id}, nothing)


@dataclass(frozen=True, slots=True)
class FileChanged(Event):
    """A transfer made progress or ended; one of `sender` and `to` is the peer.

    `state` is as in JSON. `done`: bytes of `size`. `path`: where a received file was stored. `rate`:
    bytes per second; `left`: seconds.
    """

    id: int
    name: str
    state: str
    done: int
    size: int
    sender: str | None = None
    to: str | None = None
    path: str | None = None
    rate: int | None = None
    left: float | None = None
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Joined(Event):
    """`id` joined a room. `own`: it is this client, `members` are the members, and `again` after a lost
    connection.
    """

    room: str
    id: str | None = None
    own: bool = False
    members: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Left(Event):
    """`id` left a room, or was removed by `by`. `own`: it is this client."""

    room: str
    id: str | None = None
    own: bool = False
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Invited(Event):
    """`by` invites this client to a room."""

    room: str
    by: str | None = None

    def accept(self) -> Awaitable[None]:
        """Join the room."""
        return self._me().ask({"do": "join", "room": self.room}, nothing)


@dataclass(frozen=True, slots=True)
class RoomChanged(Event):
    """Another `change` of a room, such as `topic`, `muted` or `op`; `id`: the member concerned."""

    room: str
    change: str
    id: str | None = None
    by: str | None = None
    text: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Presence(Event):
    """A watched peer is online or not; `away`: its text of /away."""

    id: str
    online: bool
    away: str | None = None


@dataclass(frozen=True, slots=True)
class Running(Event):
    """The client has opened its port; `host` and `port` are announced to peers. `key`: its own."""

    id: str
    host: str
    port: int
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Registered(Event):
    """The client is registered at a server. `first`: the server's key was new and is pinned now."""

    server: str
    key: str | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A sentence for the user without an event of its own; `code` if a server is lost."""

    text: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """An error that does not belong to a request of this program."""

    code: str
    text: str
    status: int | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Exited(Event):
    """The client ends; no event follows."""

    code: int


@dataclass(frozen=True, slots=True)
class Lagged(Event):
    """The program read too slowly: `count` events were dropped here."""

    count: int


@dataclass(frozen=True, slots=True)
class OtherEvent(Event):
    """An event without a class here; `fields` has all of it."""

    name: str


class _Unlike(Exception):
    """The object lacks a field that its kind needs."""


class _Reader:
    """Read fields of one JSON object; those of another type than expected count as missing."""

    def __init__(self, fields: Fields, asker: Asker | None) -> None:
        self._fields = fields
        self.common: dict[str, Any] = {"fields": fields, "_asker": asker}

    def text(self, name: str) -> str:
        """Return a required text."""
        return _needed(self.maybe_text(name))

    def maybe_text(self, name: str) -> str | None:
        """Return a text, or None."""
        value = self._fields.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int:
        """Return a required whole number."""
        return _needed(self.maybe_number(name))

    def maybe_number(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self._fields.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def seconds(self, name: str) -> float | None:
        """Return a number that may have a fraction, or None."""
        value = self._fields.get(name)
        return value if isinstance(value, float) else self.maybe_number(name)

    def message_id(self, name: str = "id") -> str | int | None:
        """Return the number of a message to a peer or the id of one in a room, or None."""
        number = self.maybe_number(name)
        return self.maybe_text(name) if number is None else number

    def flag(self, name: str) -> bool:
        """Return True only for a JSON true."""
        return self._fields.get(name) is True

    def maybe_flag(self, name: str) -> bool | None:
        """Return a JSON true or false, or None."""
        value = self._fields.get(name)
        return value if isinstance(value, bool) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list."""
        value = self._fields.get(name)
        if not isinstance(value, list | tuple):
            return ()
        return tuple(one for one in value if isinstance(one, str))

    def target(self) -> str:
        """Return the peer or room to which a message went."""
        return _needed(self.maybe_text("to") or self.maybe_text("room"))


def _needed(value: Needed | None) -> Needed:
    if value is None:
        raise _Unlike
    return value


def _message(r: _Reader) -> Event:
    return Message(
        r.text("from"),
        r.text("text"),
        r.maybe_text("room"),
        r.message_id(),
        r.maybe_text("said"),
        r.flag("history"),
        r.maybe_text("kind") == "action",
        **r.common,
    )


def _delivered(r: _Reader) -> Event:
    id = r.message_id()
    if id is None:
        raise _Unlike
    return Delivered(r.text("to"), id, **r.common)


def _undelivered(r: _Reader) -> Event:
    return Undelivered(
        r.target(),
        r.maybe_text("code") or "",
        r.maybe_text("reason") or "",
        r.message_id(),
        r.maybe_text("text"),
        **r.common,
    )


def _incoming(r: _Reader) -> Event:
    return Incoming(
        r.text("id"),
        r.maybe_text("host") or "",
        r.maybe_number("port") or 0,
        r.flag("encrypted"),
        r.flag("confirmed"),
        r.maybe_text("key"),
        r.flag("ask"),
        **r.common,
    )


def _session(r: _Reader) -> Event:
    return SessionChanged(
        r.text("id"),
        r.text("state"),
        r.maybe_flag("encrypted"),
        r.maybe_text("path"),
        r.maybe_text("code"),
        r.maybe_text("reason"),
        **r.common,
    )


def _file(r: _Reader) -> Event:
    number, name, size, sender = (
        r.number("id"),
        r.text("name"),
        r.number("size"),
        r.maybe_text("from"),
    )
    if r.flag("ask") and sender is not None:
        return FileOffered(number, sender, name, size, r.maybe_number("files"), **r.common)
    return FileChanged(
        number,
        name,
        r.text("state"),
        r.number("offset"),
        size,
        sender,
        r.maybe_text("to"),
        r.maybe_text("path"),
        r.maybe_number("rate"),
        r.seconds("left"),
        r.maybe_text("code"),
        r.maybe_text("reason"),
        **r.common,
    )


def _room(r: _Reader) -> Event:
    room, change, id, by = r.text("room"), r.text("change"), r.maybe_text("id"), r.maybe_text("by")
    own, reason = r.flag("own"), r.maybe_text("reason")
    match change:
        case "joined":
            # Only a client that has joined itself receives the list of members.
            members = r.texts("members")
            return Joined(room, id, own or bool(members), members, r.flag("again"), **r.common)
        case "parted" | "kicked" | "banned":
            return Left(room, id, own, by, reason, **r.common)
        case "invited" if own:
            return Invited(room, by, **r.common)
    return RoomChanged(room, change, id, by, r.maybe_text("text"), reason, **r.common)


def _presence(r: _Reader) -> Event:
    return Presence(r.text("id"), r.text("status") == "online", r.maybe_text("away"), **r.common)


def _failed(r: _Reader) -> Event:
    return Failed(
        r.text("code"),
        r.text("text"),
        r.maybe_number("status"),
        r.maybe_text("command"),
        **r.common,
    )


def _exited(r: _Reader) -> Event:
    return Exited(r.number("code"), **r.common)


READERS: dict[str, Callable[[_Reader], Event]] = {
    "message": _message,
    "sent": lambda r: Sent(r.target(), r.text("text"), r.message_id(), **r.common),
    "delivered": _delivered,
    "uncertain": lambda r: Unconfirmed(r.target(), r.message_id(), **r.common),
    "undelivered": _undelivered,
    "incoming": _incoming,
    "session": _session,
    "bye": lambda r: Bye(r.text("id"), r.maybe_text("code"), r.maybe_text("reason"), **r.common),
    "file": _file,
    "room": _room,
    "presence": _presence,
    "running": lambda r: Running(
        r.text("id"), r.text("host"), r.number("port"), r.maybe_text("key"), **r.common
    ),
    "registered": lambda r: Registered(
        r.text("server"), r.maybe_text("key"), r.flag("first"), **r.common
    ),
    "notice": lambda r: Notice(r.text("text"), r.maybe_text("code"), **r.common),
    "error": _failed,
    "exit": _exited,
}
"""Readers by the name of the event."""


def parse(fields: Fields, asker: Asker | None = None) -> Event:
    """Return the event in a JSON object; `asker` is the client that its methods use. Never raises."""
    name = fields.get("event")
    if not isinstance(name, str):
        name = ""
    read = READERS.get(name)
    reader = _Reader(fields, asker)
    if read is not None:
        try:
            return read(reader)
        except _Unlike:
            pass
    return OtherEvent(name, **reader.common)
