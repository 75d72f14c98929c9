"""What a session wants done: bytes to a link, or news for the person. It does neither itself.

A link is one connection to the other person; to the session it is an opaque, hashable thing.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from chatproto.peer.floor import Turn

Link = Hashable


@dataclass(frozen=True, slots=True)
class Call:
    """Write the opener on `link`: we are the caller there."""

    link: Link


@dataclass(frozen=True, slots=True)
class Speak:
    """Write `text` as one message on `link`, or, where it is None, on a new connection of its own."""

    link: Link | None
    text: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Write the farewell on `link` (None: a new connection of its own), then half-close, then close."""

    link: Link | None
    word: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Say yes on `link`, to a caller who waits for it."""

    link: Link


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say no on `link`, to a caller who waits for a yes."""

    link: Link
    status: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Close `link` without a word."""

    link: Link


@dataclass(frozen=True, slots=True)
class StopDialling:
    """A connection under way is no longer wanted."""


@dataclass(frozen=True, slots=True)
class Asking:
    """It rings there."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """They call, and the person has to say yes or no."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The conversation is open."""


@dataclass(frozen=True, slots=True)
class TurnPassed:
    """Somebody else may speak now."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class Heard:
    """They said `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What we said waits for its turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What we said never went out."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over. `left`: the other person ended it by a farewell or by going."""

    reason: str
    left: bool


Effect = (
    Call
    | Speak
    | Leave
    | Answer
    | Refuse
    | Drop
    | StopDialling
    | Asking
    | Ringing
    | Opened
    | TurnPassed
    | Heard
    | Kept
    | Unsaid
    | Ended
)
