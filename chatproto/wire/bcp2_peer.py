"""BCP/2 between two people, message by message (protocol section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.wire.bcp2_common import (
    CLIENT_ID,
    ID,
    MODE,
    STREAM,
    Bcp2Message,
    Body,
    Error,
    Ping,
    PingAck,
    matching,
    one_of,
    read_date,
    read_have,
    read_number,
    read_text,
    write_have,
)
from chatproto.wire.bcp2_files import FILES
from chatproto.wire.classic import Header

NUMBER = ID._replace(read=read_number)
"""The place of what is told once and in order; ID 0 is the beginning, before the first of them."""


@dataclass(frozen=True, slots=True)
class Chat(Bcp2Message):
    """I call you: who I say I am, my stream, and what I have of yours.

    `Turn`: whose turn it was, to me, in a conversation that I have not ended; it goes on then.
    """

    method = "CHAT"
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


@dataclass(frozen=True, slots=True)
class ChatAck(Bcp2Message):
    """I take your call."""

    method = "CHATACK"
    headers = Chat.headers
    client_id: str
    mode: str
    stream: str
    have: tuple[str, int] = ("", 0)
    turn: str = ""


@dataclass(frozen=True, slots=True)
class Msg(Bcp2Message):
    """A message, UTF-8, numbered in its stream."""

    method = "MSG"
    headers = (NUMBER, Header("Date", "date", read_date))
    body = Body("text", read_text, str.encode, "message")
    id: int
    date: str
    text: str


@dataclass(frozen=True, slots=True)
class MsgAck(Bcp2Message):
    """Everything up to `ID` is in my log."""

    method = "MSGACK"
    headers = (ID,)
    id: int


@dataclass(frozen=True, slots=True)
class Turn(Bcp2Message):
    """It is your turn."""

    method = "TURN"
    headers = (NUMBER,)
    id: int


@dataclass(frozen=True, slots=True)
class Mode(Bcp2Message):
    """From here on turns are taken, or not."""

    method = "MODE"
    headers = (NUMBER, MODE)
    id: int
    mode: str


@dataclass(frozen=True, slots=True)
class Quit(Bcp2Message):
    """The conversation is over; the outbox is not."""

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
"""What a peer may say."""
