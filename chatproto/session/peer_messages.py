"""Translate between session effects and BCP/2 peer messages on one TLS connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatproto.net.clock import EPOCH
from chatproto.net.dates import date_of, moment_of
from chatproto.session.effects import Opening
from chatproto.session.ledger import MODE, MSG, TURN, StreamEntry
from chatproto.wire.actions import marked, split_mark
from chatproto.wire.bcp2_common import Bcp2Message, Error, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.values import value_class


@value_class
class Called:
    """CHAT: the peer calls under the id `client_id`."""

    client_id: str
    opening: Opening


@value_class
class Answered:
    """CHATACK: the peer, `client_id`, accepts our call."""

    client_id: str
    opening: Opening


@value_class
class CallRefused:
    """ERROR about CHAT: the peer refuses our call."""

    status: int


@value_class
class EntryReceived:
    """MSG, TURN or MODE: a numbered entry of the peer."""

    entry: StreamEntry


@value_class
class Arrived:
    """MSGACK: the peer has stored everything up to `id`."""

    id: int


@value_class
class Alive:
    """PINGACK: the connection is alive."""


@value_class
class PeerLeft:
    """QUIT: the peer ends the conversation."""

    reason: str


@value_class
class AboutFiles:
    """A message of a file transfer."""

    message: Bcp2Message


PeerEvent = (
    Called | Answered | CallRefused | EntryReceived | Arrived | Alive | AboutFiles | PeerLeft
)


NOT_A_PERSON = (401, 405)
"""Statuses with which a server answers CHAT: login required, unknown method."""


def opening_headers(opening: Opening) -> tuple[str, str, tuple[str, int], str]:
    """Return the headers of CHAT and CHATACK that follow the id: mode, stream, have, turn."""
    return "half" if opening.half else "full", opening.stream, opening.have, opening.turn


def opening_of(message: Chat | ChatAck) -> Opening:
    """Return what CHAT or CHATACK says besides the id."""
    return Opening(message.mode == "half", message.stream, message.have, message.turn)


def message_of(entry: StreamEntry) -> Bcp2Message:
    """Return the message that carries `entry`."""
    match entry.kind:
        case "turn":
            return Turn(entry.id)
        case "mode":
            return Mode(entry.id, entry.text)
        case _:
            return Msg(entry.id, date_of(entry.at), *split_mark(entry.text))


def event_of(message: Bcp2Message) -> PeerEvent | None:
    """Return the event of a received message; None for an ERROR that answers nothing of ours."""
    read = _EVENTS.get(type(message))
    return AboutFiles(message) if read is None else read(message)


def _refusal(error: Error) -> PeerEvent | None:
    match error.about:
        case "CHAT":
            return CallRefused(error.status)
        case "OFFER" | "DATA" | "DONE":
            return AboutFiles(error)
        case "" if error.status in NOT_A_PERSON:
            return CallRefused(error.status)
    return None


_EVENTS: dict[type[Bcp2Message], Callable[[Any], PeerEvent | None]] = {
    Chat: lambda call: Called(call.client_id, opening_of(call)),
    ChatAck: lambda yes: Answered(yes.client_id, opening_of(yes)),
    Msg: lambda said: EntryReceived(
        StreamEntry(said.id, MSG, moment_of(said.date), marked(said.text, said.kind))
    ),
    Turn: lambda turn: EntryReceived(StreamEntry(turn.id, TURN, EPOCH)),
    Mode: lambda mode: EntryReceived(StreamEntry(mode.id, MODE, EPOCH, mode.mode)),
    MsgAck: lambda ack: Arrived(ack.id),
    PingAck: lambda _: Alive(),
    Quit: lambda farewell: PeerLeft(farewell.reason),
    Error: _refusal,
}
"""Reader of each message type; a type that is not here belongs to a file transfer."""
