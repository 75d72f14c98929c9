"""What may happen to a conversation, and when: `TABLE`."""

from __future__ import annotations

from enum import Enum


class SessionState(Enum):
    """Where a conversation stands: ASKING, it rings there; RINGING, it rings here.

    BROKEN: every connection is gone, and another is being made.
    """

    NEW = "new"
    CALLING = "calling"
    ASKING = "asking"
    RINGING = "ringing"
    OPEN = "open"
    BROKEN = "broken"
    CLOSED = "closed"


class SessionInput(Enum):
    """What can happen to a conversation; the value is what the state diagram says."""

    CALL = "we call"
    CALL_BACK = "we call back"
    CONNECT = "our connection is there"
    ASK = "our connection is there, and they must say yes"
    ANSWER = "they accept"
    REFUSE = "they refuse"
    FAIL = "no connection to be had"
    RING = "they call"
    ACCEPT = "we accept"
    DECLINE = "we decline"
    RING_OUT = "nobody answered in time"
    SAY = "we say something"
    HEAR = "they say something"
    LEAVE = "we leave"
    LEFT = "they leave"
    LINK_LOST = "one of several connections ends"
    LOST = "the last connection ends"
    BREAK = "the last connection breaks, and the conversation goes on"
    DENY = "they refuse for now"


TABLE: dict[tuple[SessionState, SessionInput], SessionState] = {
    (SessionState.NEW, SessionInput.CALL): SessionState.CALLING,
    (SessionState.NEW, SessionInput.RING): SessionState.RINGING,
    (SessionState.CALLING, SessionInput.CONNECT): SessionState.OPEN,
    (SessionState.CALLING, SessionInput.ASK): SessionState.ASKING,
    (SessionState.CALLING, SessionInput.RING): SessionState.OPEN,
    (SessionState.CALLING, SessionInput.FAIL): SessionState.CLOSED,
    (SessionState.CALLING, SessionInput.SAY): SessionState.CALLING,
    (SessionState.CALLING, SessionInput.LEAVE): SessionState.CLOSED,
    (SessionState.ASKING, SessionInput.ANSWER): SessionState.OPEN,
    (SessionState.ASKING, SessionInput.REFUSE): SessionState.CLOSED,
    (SessionState.ASKING, SessionInput.RING): SessionState.OPEN,
    (SessionState.ASKING, SessionInput.SAY): SessionState.ASKING,
    (SessionState.ASKING, SessionInput.LEAVE): SessionState.CLOSED,
    (SessionState.ASKING, SessionInput.LEFT): SessionState.CLOSED,
    (SessionState.ASKING, SessionInput.LINK_LOST): SessionState.ASKING,
    (SessionState.ASKING, SessionInput.LOST): SessionState.CLOSED,
    (SessionState.ASKING, SessionInput.BREAK): SessionState.BROKEN,
    (SessionState.RINGING, SessionInput.RING): SessionState.RINGING,
    (SessionState.RINGING, SessionInput.CALL): SessionState.OPEN,
    (SessionState.RINGING, SessionInput.ACCEPT): SessionState.OPEN,
    (SessionState.RINGING, SessionInput.DECLINE): SessionState.CLOSED,
    (SessionState.RINGING, SessionInput.RING_OUT): SessionState.CLOSED,
    (SessionState.RINGING, SessionInput.SAY): SessionState.RINGING,
    (SessionState.RINGING, SessionInput.HEAR): SessionState.RINGING,
    (SessionState.RINGING, SessionInput.LEAVE): SessionState.CLOSED,
    (SessionState.RINGING, SessionInput.LEFT): SessionState.CLOSED,
    (SessionState.RINGING, SessionInput.LINK_LOST): SessionState.RINGING,
    (SessionState.RINGING, SessionInput.LOST): SessionState.CLOSED,
    (SessionState.OPEN, SessionInput.CALL_BACK): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.CONNECT): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.FAIL): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.RING): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.SAY): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.HEAR): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.LEAVE): SessionState.CLOSED,
    (SessionState.OPEN, SessionInput.LEFT): SessionState.CLOSED,
    (SessionState.OPEN, SessionInput.LINK_LOST): SessionState.OPEN,
    (SessionState.OPEN, SessionInput.LOST): SessionState.CLOSED,
    (SessionState.OPEN, SessionInput.BREAK): SessionState.BROKEN,
    (SessionState.BROKEN, SessionInput.ASK): SessionState.BROKEN,
    (SessionState.BROKEN, SessionInput.ANSWER): SessionState.OPEN,
    (SessionState.BROKEN, SessionInput.REFUSE): SessionState.CLOSED,
    (SessionState.BROKEN, SessionInput.DENY): SessionState.BROKEN,
    (SessionState.BROKEN, SessionInput.RING): SessionState.OPEN,
    (SessionState.BROKEN, SessionInput.SAY): SessionState.BROKEN,
    (SessionState.BROKEN, SessionInput.LEAVE): SessionState.CLOSED,
    (SessionState.BROKEN, SessionInput.LEFT): SessionState.CLOSED,
    (SessionState.BROKEN, SessionInput.BREAK): SessionState.BROKEN,
    (SessionState.BROKEN, SessionInput.LOST): SessionState.CLOSED,
}
"""Every pair that may happen and the state after it. What is not here is refused with a LocalError if
our own side asks for it, and is nothing if it comes from the other side, for whom it may be too late."""

REFUSALS: dict[SessionInput, str] = {
    SessionInput.CALL: "you are talking to them already",
    SessionInput.CALL_BACK: "they have not called",
    SessionInput.ACCEPT: "there is no call to accept",
    SessionInput.DECLINE: "there is no call to decline",
    SessionInput.SAY: "the conversation is over",
    SessionInput.LEAVE: "the conversation is over",
}
"""What our own side is told when the table has no such pair."""
