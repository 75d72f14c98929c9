"""What may happen to a conversation, and when: `TABLE`."""

from __future__ import annotations

from enum import Enum


class State(Enum):
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


class Input(Enum):
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


TABLE: dict[tuple[State, Input], State] = {
    (State.NEW, Input.CALL): State.CALLING,
    (State.NEW, Input.RING): State.RINGING,
    (State.CALLING, Input.CONNECT): State.OPEN,
    (State.CALLING, Input.ASK): State.ASKING,
    (State.CALLING, Input.RING): State.OPEN,
    (State.CALLING, Input.FAIL): State.CLOSED,
    (State.CALLING, Input.SAY): State.CALLING,
    (State.CALLING, Input.LEAVE): State.CLOSED,
    (State.ASKING, Input.ANSWER): State.OPEN,
    (State.ASKING, Input.REFUSE): State.CLOSED,
    (State.ASKING, Input.RING): State.OPEN,
    (State.ASKING, Input.SAY): State.ASKING,
    (State.ASKING, Input.LEAVE): State.CLOSED,
    (State.ASKING, Input.LEFT): State.CLOSED,
    (State.ASKING, Input.LINK_LOST): State.ASKING,
    (State.ASKING, Input.LOST): State.CLOSED,
    (State.ASKING, Input.BREAK): State.BROKEN,
    (State.RINGING, Input.RING): State.RINGING,
    (State.RINGING, Input.CALL): State.OPEN,
    (State.RINGING, Input.ACCEPT): State.OPEN,
    (State.RINGING, Input.DECLINE): State.CLOSED,
    (State.RINGING, Input.RING_OUT): State.CLOSED,
    (State.RINGING, Input.SAY): State.RINGING,
    (State.RINGING, Input.HEAR): State.RINGING,
    (State.RINGING, Input.LEAVE): State.CLOSED,
    (State.RINGING, Input.LEFT): State.CLOSED,
    (State.RINGING, Input.LINK_LOST): State.RINGING,
    (State.RINGING, Input.LOST): State.CLOSED,
    (State.OPEN, Input.CALL_BACK): State.OPEN,
    (State.OPEN, Input.CONNECT): State.OPEN,
    (State.OPEN, Input.FAIL): State.OPEN,
    (State.OPEN, Input.RING): State.OPEN,
    (State.OPEN, Input.SAY): State.OPEN,
    (State.OPEN, Input.HEAR): State.OPEN,
    (State.OPEN, Input.LEAVE): State.CLOSED,
    (State.OPEN, Input.LEFT): State.CLOSED,
    (State.OPEN, Input.LINK_LOST): State.OPEN,
    (State.OPEN, Input.LOST): State.CLOSED,
    (State.OPEN, Input.BREAK): State.BROKEN,
    (State.BROKEN, Input.ASK): State.BROKEN,
    (State.BROKEN, Input.ANSWER): State.OPEN,
    (State.BROKEN, Input.REFUSE): State.CLOSED,
    (State.BROKEN, Input.DENY): State.BROKEN,
    (State.BROKEN, Input.RING): State.OPEN,
    (State.BROKEN, Input.SAY): State.BROKEN,
    (State.BROKEN, Input.LEAVE): State.CLOSED,
    (State.BROKEN, Input.LEFT): State.CLOSED,
    (State.BROKEN, Input.BREAK): State.BROKEN,
    (State.BROKEN, Input.LOST): State.CLOSED,
}
"""Every pair that may happen and the state after it. What is not here is refused with a LocalError if
our own side asks for it, and is nothing if it comes from the other side, for whom it may be too late."""

REFUSALS: dict[Input, str] = {
    Input.CALL: "you are talking to them already",
    Input.CALL_BACK: "they have not called",
    Input.ACCEPT: "there is no call to accept",
    Input.DECLINE: "there is no call to decline",
    Input.SAY: "the conversation is over",
    Input.LEAVE: "the conversation is over",
}
"""What our own side is told when the table has no such pair."""
