"""What is told of a link inside TLS, and how what two people tell each other stands in its messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatproto.net.clock import EPOCH
from chatproto.net.dates import date_of, moment_of
from chatproto.session.effects import Opening
from chatproto.session.ledger import MODE, MSG, TURN, Entry
from chatproto.wire.bcp2_common import Bcp2Message, Error, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn


@dataclass(frozen=True, slots=True)
class Called:
    """They call, and say that they are `client_id`."""

    client_id: str
    opening: Opening


@dataclass(frozen=True, slots=True)
class Answered:
    """They say yes to our call, and that they are `client_id`."""

    client_id: str
    opening: Opening


@dataclass(frozen=True, slots=True)
class Refused:
    """They say no to our call."""

    status: int


@dataclass(frozen=True, slots=True)
class Told:
    """They said something, or passed the turn, or changed the mode."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Arrived:
    """They have everything up to `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class Alive:
    """They answered a PING."""


@dataclass(frozen=True, slots=True)
class Gone:
    """They said farewell."""

    reason: str


@dataclass(frozen=True, slots=True)
class AboutFiles:
    """They said something about a file."""

    message: Bcp2Message


News = Called | Answered | Refused | Told | Arrived | Alive | AboutFiles | Gone


NOT_A_PERSON = (401, 405)
"""Statuses with which a server answers CHAT: it wants a login, or knows no such method."""


def told(opening: Opening) -> tuple[str, str, tuple[str, int], str]:
    """The headers of CHAT and CHATACK behind the id."""
    return "half" if opening.half else "full", opening.stream, opening.have, opening.turn


def opening_of(message: Chat | ChatAck) -> Opening:
    return Opening(message.mode == "half", message.stream, message.have, message.turn)


def message_of(entry: Entry) -> Bcp2Message:
    """What is numbered, as it is said."""
    match entry.kind:
        case "turn":
            return Turn(entry.id)
        case "mode":
            return Mode(entry.id, entry.text)
        case _:
            return Msg(entry.id, date_of(entry.at), entry.text)


def news_of(message: Bcp2Message) -> News | None:
    """What `message` of theirs tells; None: nothing, as an error about what nobody waits for."""
    read = _NEWS.get(type(message))
    return AboutFiles(message) if read is None else read(message)


def _refusal(error: Error) -> News | None:
    match error.about:
        case "CHAT":
            return Refused(error.status)
        case "OFFER" | "DATA" | "DONE":
            return AboutFiles(error)
        case "" if error.status in NOT_A_PERSON:
            return Refused(error.status)
    return None


_NEWS: dict[type[Bcp2Message], Callable[[Any], News | None]] = {
    Chat: lambda call: Called(call.client_id, opening_of(call)),
    ChatAck: lambda yes: Answered(yes.client_id, opening_of(yes)),
    Msg: lambda said: Told(Entry(said.id, MSG, moment_of(said.date), said.text)),
    Turn: lambda turn: Told(Entry(turn.id, TURN, EPOCH)),
    Mode: lambda mode: Told(Entry(mode.id, MODE, EPOCH, mode.mode)),
    MsgAck: lambda ack: Arrived(ack.id),
    PingAck: lambda _: Alive(),
    Quit: lambda farewell: Gone(farewell.reason),
    Error: _refusal,
}
"""All that is not about files."""
