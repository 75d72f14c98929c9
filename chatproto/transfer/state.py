"""States and inputs of a transfer: one table for sender and receiver."""

from __future__ import annotations

from enum import Enum, auto


class TransferState(Enum):
    """State of a transfer; the values are shown to the user."""

    QUEUED = (
        "queued"  # sending: too many others are open; receiving: agreed to, too many others move
    )
    OFFERED = "offered"
    LOOKING = "looking"  # sending: it has changed, and is looked at anew
    CHECKING = "checking"  # what is there already is read
    MOVING = "moving"
    VERIFYING = "verifying"
    BROKEN = (
        "broken"  # the connection is lost, or the program was ended: it goes on with the next one
    )
    STALLED = "stalled"  # the receiver cannot write; it goes on when the receiver says so
    DONE = "done"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    FAILED = "failed"


class TransferInput(Enum):
    """Input of the state machine."""

    OFFER = auto()  # it is offered, perhaps again
    TAKE = auto()  # the receiver agrees
    CHECKED = auto()
    END = auto()  # everything was sent
    WHOLE = auto()  # it is there, under its name
    DIFFERS = auto()  # what is there is something else
    CHANGE = auto()  # the source is not what was offered
    STALL = auto()
    LOSE = auto()
    DECLINE = auto()
    CANCEL = auto()
    FAIL = auto()


ENDED = frozenset(
    {TransferState.DONE, TransferState.DECLINED, TransferState.CANCELLED, TransferState.FAILED}
)
ACTIVE = frozenset({TransferState.CHECKING, TransferState.MOVING, TransferState.VERIFYING})
"""Those that count among the transfers that move at once."""
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
"""States of a transfer after each input of its sender; inputs that are not here do not happen."""

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
"""The same for its receiver."""
