"""What is told of a link inside TLS, and how what two people tell each other stands in its messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatproto.net.clock import EPOCH
from chatproto.net.dates import date_of, moment_of
from chatproto.session.effects import Opening
from chatproto.session.ledger import MODE, MSG, TURN, StreamEntry
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
class CallRefused:
    """They say no to our call."""

    status: int


@dataclass(frozen=True, slots=True)
class EntryReceived:
    """They said something, or passed the turn, or changed the mode."""

    entry: StreamEntry


@dataclass(frozen=True, slots=True)
class Arrived:
    """They have everything up to `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class Alive:
    """They answered a PING."""


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """They said farewell."""

    reason: str


@dataclass(frozen=True, slots=True)
class AboutFiles:
    """They said something about a file."""

    message: Bcp2Message


News = Called | Answered | CallRefused | EntryReceived | Arrived | Alive | AboutFiles | PeerLeft


NOT_A_PERSON = (401, 405)
"""Statuses with which a server answers CHAT: it wants a login, or knows no such method."""


def told(opening: Opening) -> tuple[str, str, tuple[str, int], str]:
    """The headers of CHAT and CHATACK behind the id."""
    return "half" if opening.half else "full", opening.stream, opening.have, opening.turn


def opening_of(message: Chat | ChatAck) -> Opening:
    return Opening(message.mode == "half", message.stream, message.have, message.turn)


def message_of(entry: StreamEntry) -> Bcp2Message:
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
            return CallRefused(error.status)
        case "OFFER" | "DATA" | "DONE":
            return AboutFiles(error)
        case "" if error.status in NOT_A_PERSON:
            return CallRefused(error.status)
    return None


_NEWS: dict[type[Bcp2Message], Callable[[Any], News | None]] = {
    Chat: lambda call: Called(call.client_id, opening_of(call)),
    ChatAck: lambda yes: Answered(yes.client_id, opening_of(yes)),
    Msg: lambda said: EntryReceived(StreamEntry(said.id, MSG, moment_of(said.date), said.text)),
    Turn: lambda turn: EntryReceived(StreamEntry(turn.id, TURN, EPOCH)),
    Mode: lambda mode: EntryReceived(StreamEntry(mode.id, MODE, EPOCH, mode.mode)),
    MsgAck: lambda ack: Arrived(ack.id),
    PingAck: lambda _: Alive(),
    Quit: lambda farewell: PeerLeft(farewell.reason),
    Error: _refusal,
}
"""All that is not about files."""
