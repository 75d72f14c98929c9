"""States and inputs of a session, and the errors for requests in the wrong state."""

from __future__ import annotations

from enum import Enum

from chatproto.wire.reasons import (
    CONVERSATION_ENDED,
    IN_CONVERSATION,
    NO_CALL,
    NOT_CALLED,
    NOT_OPEN,
    Sentence,
)

NOT_A_PERSON = (401, 405)
"""Statuses with which a server answers CHAT: login required, unknown method."""


class SessionState(Enum):
    """State of a conversation; the value appears in JSON events and in `/who`.

    CALLING: a connection is being made. ASKING: the call rings at the peer. RINGING: the peer's call
    rings here. BROKEN: the connection is lost or left, and the conversation resumes on another one.
    """

    NEW = "new"
    CALLING = "calling"
    ASKING = "asking"
    RINGING = "ringing"
    OPEN = "open"
    BROKEN = "broken"
    CLOSED = "closed"


class SessionInput(Enum):
    """Input of a session; the value labels an arrow of the state diagram (`tests/diagram.py`)."""

    # Requests of the user.
    CALL = "we call"
    CALL_BACK = "we call back"
    ACCEPT = "we accept"
    DECLINE = "we decline"
    SAY = "we send a message"
    MODE = "we change the mode"
    PASS = "we pass the turn"
    LEAVE = "we leave"
    # Events of our calls.
    CONNECT = "our connection is up"
    ASK = "our connection is up, the peer must accept"
    MOVE = "a better connection of ours is up"
    FAIL = "no connection can be made"
    ANSWER = "the peer accepts"
    OUTDATED = "the peer knows later messages of ours than we do"
    REFUSE = "the peer refuses"
    DENY = "the peer refuses for now"
    NO_ANSWER = "no answer in time"
    CALL_LOST = "the connection of our call ends"
    GIVE_UP = "no connection can be made again"
    # Actions of the peer.
    RING = "the peer calls"
    RING_BESIDE = "the peer calls beside the connection in use"
    RING_CROSSED = "the peer calls, our own call goes first"
    JOIN = "the peer makes another connection"
    RING_OUT = "the call rang too long"
    HEAR = "the peer sends a message"
    FLOOD = "the peer sends too much"
    WAIT = "the peer waits for us to speak"
    LEFT = "the peer leaves"
    # Events of connections.
    ALIVE = "the connection in use answers"
    SILENT = "the connection in use does not answer, another call waits"
    ONE_LOST = "one of several connections ends"
    LOST = "the last connection ends"
    BREAK = "the connection breaks, the session resumes"


REFUSALS: dict[SessionInput, Sentence] = {
    SessionInput.CALL: IN_CONVERSATION,
    SessionInput.CALL_BACK: NOT_CALLED,
    SessionInput.ACCEPT: NO_CALL,
    SessionInput.DECLINE: NO_CALL,
    SessionInput.SAY: CONVERSATION_ENDED,
    SessionInput.PASS: NOT_OPEN,
    SessionInput.LEAVE: CONVERSATION_ENDED,
}
"""Sentences of the LocalError for a request of the user in a state that has no row for it."""
