"""States and inputs of a transfer, with one table for the sender and one for the receiver."""

from __future__ import annotations

from enum import Enum, auto


class TransferState(Enum):
    """State of a transfer; the values are shown to the user."""

    QUEUED = (
        "queued"  # sending: too many others are open; receiving: accepted, but too many others move
    )
    OFFERED = "offered"
    LOOKING = "looking"  # sending: the source has changed and is examined again
    CHECKING = "checking"  # the data that the receiver has are hashed
    MOVING = "moving"
    VERIFYING = "verifying"
    BROKEN = (
        "broken"  # the connection was lost or the program ended; resumed on the next connection
    )
    STALLED = "stalled"  # the receiver cannot write; resumed when its user accepts again
    DONE = "done"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    FAILED = "failed"


class TransferInput(Enum):
    """Input of the state machine."""

    OFFER = auto()  # OFFER was sent or received, perhaps again, or a queued transfer starts
    TAKE = auto()  # the receiver accepts
    CHECKED = auto()
    END = auto()  # all data were sent
    WHOLE = auto()  # the file is complete, under its final name
    DIFFERS = auto()  # the received data have another hash
    CHANGE = auto()  # the source is no longer as offered
    STALL = auto()
    LOSE = auto()
    DECLINE = auto()
    CANCEL = auto()
    FAIL = auto()


ENDED = frozenset(
    {TransferState.DONE, TransferState.DECLINED, TransferState.CANCELLED, TransferState.FAILED}
)
ACTIVE = frozenset({TransferState.CHECKING, TransferState.MOVING, TransferState.VERIFYING})
"""States that count towards the limit of transfers that move at once."""
OPEN = frozenset(TransferState) - ENDED

S, I = TransferState, TransferInput  # noqa: E741
_ALWAYS = {I.CANCEL: S.CANCELLED, I.FAIL: S.FAILED}
_CONNECTED = {I.LOSE: S.BROKEN, I.STALL: S.STALLED, I.CHANGE: S.LOOKING, **_ALWAYS}

SENDING: dict[tuple[TransferState, TransferInput], TransferState] = {
    (state, happened): after
    for state, row in {
        S.QUEUED: {I.OFFER: S.OFFERED, **_ALWAYS},
        S.OFFERED: {
            I.OFFER: S.OFFERED,
            I.TAKE: S.CHECKING,
            I.WHOLE: S.DONE,
            I.DECLINE: S.DECLINED,
            **_CONNECTED,
        },
        S.LOOKING: {I.OFFER: S.OFFERED, I.LOSE: S.BROKEN, **_ALWAYS},
        S.CHECKING: {I.CHECKED: S.MOVING, I.DECLINE: S.DECLINED, **_CONNECTED},
        S.MOVING: {I.END: S.VERIFYING, I.DECLINE: S.DECLINED, **_CONNECTED},
        S.VERIFYING: {I.WHOLE: S.DONE, I.DIFFERS: S.CHECKING, **_CONNECTED},
        S.BROKEN: {I.OFFER: S.OFFERED, **_ALWAYS},
        S.STALLED: {I.TAKE: S.CHECKING, I.LOSE: S.BROKEN, I.OFFER: S.OFFERED, **_ALWAYS},
    }.items()
    for happened, after in row.items()
}
"""Next state of an outgoing transfer by state and input; inputs that are missing are ignored."""

RECEIVING: dict[tuple[TransferState, TransferInput], TransferState] = {
    (state, happened): after
    for state, row in {
        S.OFFERED: {I.TAKE: S.QUEUED, I.DECLINE: S.DECLINED, I.OFFER: S.OFFERED, **_ALWAYS},
        S.QUEUED: {I.OFFER: S.CHECKING, I.LOSE: S.BROKEN, **_ALWAYS},
        S.CHECKING: {
            I.CHECKED: S.MOVING, I.WHOLE: S.DONE, I.OFFER: S.CHECKING, I.LOSE: S.BROKEN,
            I.STALL: S.STALLED, **_ALWAYS,
        },
        S.MOVING: {
            I.END: S.VERIFYING, I.OFFER: S.CHECKING, I.LOSE: S.BROKEN, I.STALL: S.STALLED, **_ALWAYS,
        },
        S.VERIFYING: {
            I.WHOLE: S.DONE, I.DIFFERS: S.MOVING, I.OFFER: S.CHECKING, I.LOSE: S.BROKEN,
            I.STALL: S.STALLED, **_ALWAYS,
        },
        S.BROKEN: {I.TAKE: S.QUEUED, I.WHOLE: S.DONE, **_ALWAYS},
        S.STALLED: {I.TAKE: S.QUEUED, I.LOSE: S.BROKEN, **_ALWAYS},
    }.items()
    for happened, after in row.items()
}  # fmt: skip
"""Next state of an incoming transfer, likewise."""
