"""Define the BCP/2 messages between two peers (PROTOCOL.md section 4)."""

from __future__ import annotations

from chatproto.wire.bcp2_common import (
    CLIENT_ID,
    ID,
    KIND,
    MODE,
    STREAM,
    Bcp2Message,
    Body,
    Error,
    Ping,
    PingAck,
    matching,
    one_of,
    read_have,
    read_moment,
    read_number,
    read_text,
    write_have,
    write_moment,
)
from chatproto.wire.bcp2_files import FILES
from chatproto.wire.classic import Header
from chatproto.wire.values import value_class

NUMBER = ID._replace(read=read_number)
"""Position of an entry that is delivered once and in order; ID 0 is the position before the first."""


@value_class
class OfConversation(Bcp2Message):
    """Base class of CHAT and CHATACK: the sender's id, its stream, and what it has of the peer's
    stream.
    """

    headers = (
        CLIENT_ID,
        MODE,
        Header("Stream", "stream", matching(STREAM, "stream")),
        Header("Have", "have", read_have, write_have),
        Header("Turn", "turn", one_of("mine", "theirs", "both"), needed=False),
    )
    client_id: str
    mode: str
    stream: str
    have: tuple[str, int] = ("", 0)
    turn: str = ""


@value_class
class Chat(OfConversation):
    """Call a peer: the caller's id, its stream, and the last number received of the peer's stream.

        CHAT
        clientID: alice
        Mode: half
        Stream: 0123456789abcdef
        Have: 0123456789abcdef 12
        Turn: mine

    `Turn` says whose turn it was in a conversation that the caller has not ended. Answered by CHATACK,
    or ERROR 486 (busy), 603 (declined).
    """

    method = "CHAT"


@value_class
class ChatAck(OfConversation):
    """Accept a call.

        CHATACK
        clientID: alice
        Mode: half
        Stream: 0123456789abcdef
        Have: 0123456789abcdef 12
        Turn: mine

    The headers mean the same as in CHAT, for the peer that was called.
    """

    method = "CHATACK"


@value_class
class Msg(Bcp2Message):
    """Send one message, UTF-8, numbered in the sender's stream.

        MSG
        ID: 7
        Date: 2026-11-21T05:00:00.000Z
        Kind: action
        Content-Length: 5

        waves

    `Kind: action` is /me; without it, or with an unknown kind, the body is an ordinary message.
    Acknowledged by MSGACK.
    """

    method = "MSG"
    headers = (NUMBER, Header("Date", "at", read_moment, write_moment), KIND)
    body = Body("text", read_text, str.encode, "message")
    id: int
    at: float
    text: str
    kind: str = ""


@value_class
class MsgAck(Bcp2Message):
    """Acknowledge all entries up to `ID`: the receiver has stored them in its log.

        MSGACK
        ID: 7

    Sent by peers.
    """

    method = "MSGACK"
    headers = (ID,)
    id: int


@value_class
class Turn(Bcp2Message):
    """Pass the turn to the peer.

        TURN
        ID: 7

    Numbered in the sender's stream, like MSG.
    """

    method = "TURN"
    headers = (NUMBER,)
    id: int


@value_class
class Mode(Bcp2Message):
    """Switch between taking turns (half) and sending at any time (full).

        MODE
        ID: 7
        Mode: half

    Numbered in the sender's stream, like MSG.
    """

    method = "MODE"
    headers = (NUMBER, MODE)
    id: int
    mode: str


@value_class
class Quit(Bcp2Message):
    """End the conversation; queued messages stay in the outbox.

        QUIT
        Reason: away

    Sent by peers.
    """

    method = "QUIT"
    headers = (Header("Reason", "reason", needed=False),)
    reason: str = ""


FROM_PEER: tuple[type[Bcp2Message], ...] = (
    Chat,
    ChatAck,
    Msg,
    MsgAck,
    Turn,
    Mode,
    Quit,
    *FILES,
    Ping,
    PingAck,
    Error,
)
"""Messages of a peer."""
