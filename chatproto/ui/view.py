"""Format events as lines of the plain interface, or as JSON objects.

Pure. Text from peers passes through `printable` before it becomes a line; JSON needs no filter, because
every control and non-ASCII character is escaped.

A `SessionChanged` is shown by its own fields, without memory of earlier ones. An open one with
`encrypted` or `security` has just opened, and the turn follows it. Without them it has only the change:
turn (`both` has no line), mode, path, or that it is current. A closed one is shown with its reason;
without one, a `Bye` has shown it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from chatproto.client.events import (
    Bridged,
    Bye,
    CommandOutput,
    CommandOver,
    Contacts,
    Delivered,
    Event,
    Exited,
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
from chatproto.net.dates import HOURS_AND_MINUTES, date_of, short_time
from chatproto.ui.file_view import file_lines, list_lines
from chatproto.ui.legible import bracket, inline, name, room_name, split
from chatproto.ui.room_view import room_lines
from chatproto.wire.actions import split_mark, spoken
from chatproto.wire.fields import host_port
from chatproto.wire.reasons import Cause, Reason, reason_of


def plain_lines(
    event: Event, now: Wall, times: bool = False, form: str = HOURS_AND_MINUTES
) -> list[str]:
    """Return `event` as lines without line ends; none if it is not shown (protocol section 2).

    Earlier messages begin with the local time of their date. `times`: all lines begin with a time.
    `now` is seconds since 1970. `form`: of the time of day, as for `strftime`.
    """
    past = isinstance(event, MessageReceived) and event.history
    lines = _lines(event, now, form)
    if not times and not past:
        return lines
    said = event.said if isinstance(event, MessageReceived) else None
    at = short_time(now if said is None else said, now, form=form)
    return [f"{at} {line}" for line in lines]


def _lines(event: Event, now: Wall, form: str) -> list[str]:
    match event:
        case Running():
            return [f"{name(event.id)} running on {_address(event.host, event.port)}"]
        case IncomingCallEvent():
            return _incoming(event)
        case MessageReceived():
            room = f"{room_name(event.room)} " if event.room is not None else ""
            prefix = f"{room}{name(event.from_)}{'?' if event.other_key else ''}> "
            return [prefix + line for line in split(spoken(event.text))]
        case SessionChanged():
            return [f"* {line}" for line in _session(event)]
        case CommandOutput(command="id"):
            return [line for text in event.lines for line in split(text)]
        case CommandOutput(command="files"):
            return [f"* {line}" for line in list_lines(event.data["files"])]
        case CommandOutput():
            return [f"* {line}" for text in event.lines for line in split(text)]
        case Notice() | Failed():
            return [f"* {line}" for line in split(event.text)]
        case Registered():
            return _registered(event)
        case Contacts():
            return [f"* {_contact(known)}" for known in event.list] or [
                f"* {_nobody(event.prefix)}"
            ]
        case Bridged():
            if event.id is None or event.host is None or event.port is None:
                return ["* waiting to be called"]
            return [f"* {name(event.id)} is at {_address(event.host, event.port)}"]
        case Undelivered():
            lines = _unsure(event, "not delivered to")
            return [*lines[:-1], lines[-1] + bracket(event.reason)]
        case Uncertain():
            return _unsure(event, "may not have arrived at")
        case Delivered(text=str(text)):
            return [f"* delivered to {name(event.to)}: {line}" for line in split(spoken(text))]
        case FileChanged():
            return [f"* {line}" for line in file_lines(event)]
        case RoomChanged():
            return [f"* {line}" for line in room_lines(event, now, form)]
        case PresenceChanged():
            away = f", away: {inline(event.away)}" if event.away else ""
            return [f"* {name(event.id)} is {name(event.status)}{away}"]
        case Bye():
            return [f"* {name(event.id)} left{bracket(event.reason)}"]
        case Sent() | Delivered() | Exited() | CommandOver():
            return []  # the user saw the typed line, and sees the program end
    raise TypeError(f"no lines are written for {event!r}")


def json_object(
    event: Event, now: Wall, marks: Mapping[str, str | int] = MappingProxyType({})
) -> dict[str, object]:
    """Return `event` as an object of the JSON interface; `now` is its time of day, `marks` as in
    `references`.

    None values are left out, except in `Bridged`, where None means that no peer was found.
    """
    found: dict[str, object] = {"event": event.event, "time": date_of(now), **marks}
    if isinstance(event, CommandOutput):
        found["command"] = event.command
        return {**found, **event.data, **found}  # our fields first; they are never replaced
    for field in fields(event):
        value: Any = getattr(event, field.name)
        if value is not None or isinstance(event, Bridged):
            if isinstance(value, Reason):
                value = value.code
            if isinstance(value, Cause) or (
                field.name == "reason" and isinstance(event, Undelivered)
            ):
                found.setdefault("code", reason_of(value).code)
            if field.name == "text":
                value, kind = split_mark(value)
                found |= {"kind": kind} if kind else {}
            found[field.name.rstrip("_")] = date_of(value) if field.name == "said" else value
    return {**found, **marks}


def _address(host: str, port: int) -> str:
    return host_port(name(host), port)


def _incoming(event: IncomingCallEvent) -> list[str]:
    # A plain-text caller is never confirmed, and keeps the assignment's line.
    doubt = "? (unconfirmed)" if event.encrypted and not event.confirmed else ""
    where = _address(event.host, event.port) + (
        f" ({path_words(event.path)})" if event.path else ""
    )
    who = f"{name(event.id)}{doubt}"
    # A caller without an id is shown by its address alone.
    lines = [f"Incoming chat request from {who if who == where else f'{who} {where}'}"]
    if event.ask:
        lines.append("* /accept or /decline")
    return lines


def _session(event: SessionChanged) -> list[str]:
    who = name(event.id)
    if event.current and event.state in ("calling", "ringing", "broken"):
        return [f"what you type goes to {who} now"]
    if event.current and event.state == "closed":
        return [f"what you type is queued for {who}, who is away"]
    match event.state:
        case "calling":
            at = f" {_address(event.host, event.port)}" if event.host and event.port else ""
            at = "" if at == f" {who}" else at
            return [f"calling {who}{at}{bracket(event.reason)}"]
        case "ringing":
            return []  # `IncomingCallEvent` shows it
        case "broken":
            return [f"connection to {who} lost, retrying{bracket(event.reason)}"]
        case "closed":
            # Without a reason it was the peer's or the user's own action, which they know: `Bye`.
            if not event.reason:
                return []
            if event.encrypted is None:  # it was never open
                return [f"no conversation with {who}{bracket(event.reason)}"]
            return [f"the conversation with {who} has ended{bracket(event.reason)}"]
        case "open":
            return _open(event, who)
    return [f"{who}: {inline(event.state)}{bracket(event.reason)}"]


def _open(event: SessionChanged, who: str) -> list[str]:
    """Return the lines for a conversation that has just opened, or for a change in an open one."""
    here = event.current is not False
    if event.dialect is not None:
        security = inline(event.security or ("encrypted" if event.encrypted else "open"))
        path = f", {path_words(event.path)}" if event.path and event.path != "direct" else ""
        return [
            f"talking with {who} ({security}{path})"
            + ("" if here else f", /switch {who} to answer")
        ]
    lines = []
    if event.path:
        lines.append(f"path to {who} changed: {path_words(event.path)}")
    if event.mode:
        how = "take turns" if event.mode == "half" else "can send at any time"
        lines.append(f"you and {who} {how}")
    if event.turn == "mine":
        lines.append("your turn" if here else f"your turn with {who}")
    elif event.turn == "theirs":
        lines.append(f"{who}'s turn")
    if event.current and not lines:
        lines.append(f"what you type goes to {who} now")
    return lines


def path_words(path: str) -> str:
    """Name the path of a connection for the user."""
    return {"lan": "same network", "relay": "relayed"}.get(path) or inline(path)


def _registered(event: Registered) -> list[str]:
    lines = [f"* registered with {inline(event.server)}"]
    if event.first and event.key:
        lines.append(
            f"* first contact with this server; its key is now pinned: {inline(event.key)}"
        )
    return lines


def _nobody(prefix: str | None) -> str:
    if not prefix:
        return "no clients are registered"
    return f'nobody whose id begins with "{inline(prefix)}"'


def _contact(known: dict[str, Any]) -> str:
    host, port = known.get("host"), known.get("port")
    at = f" {_address(str(host), port)}" if host and isinstance(port, int) else ""
    return name(str(known.get("id", ""))) + at


def _unsure(event: Uncertain | Undelivered, what: str) -> list[str]:
    said = event.text if event.text is not None else f"message {event.id}"
    return [f"* {what} {name(event.to)}: {line}" for line in split(spoken(said))]
