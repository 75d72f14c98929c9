"""What a session wants done: bytes to a link, or news for the person. It does neither itself.

A link is one connection to the other person; to the session it is an opaque, hashable thing.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from chatproto.net.clock import Wall
from chatproto.session.floor import TurnHolder
from chatproto.session.ledger import StreamEntry

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
class Opening:
    """What CHAT and CHATACK tell beside an id.

    `stream`: the sender's numbering; `have`: the other's numbering and the highest ID had of it;
    `turn`: whose turn it was, to the sender (`mine`, `theirs`, `both`), in a conversation that goes on.
    """

    half: bool
    stream: str
    have: tuple[str, int] = ("", 0)
    turn: str = ""


@dataclass(frozen=True, slots=True)
class SendChat:
    """Say CHAT on `link`: we are the caller there, and they must say yes."""

    link: Link
    opening: Opening


@dataclass(frozen=True, slots=True)
class AcceptCall:
    """Say yes on `link`, to a caller who waits for it."""

    link: Link
    opening: Opening


@dataclass(frozen=True, slots=True)
class SendEntry:
    """Write a numbered entry on `link`, after those before it."""

    link: Link
    entry: StreamEntry


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell on `link` that everything up to `id` is kept."""

    link: Link
    id: int


@dataclass(frozen=True, slots=True)
class ProbeConnection:
    """Find out soon whether `link` is still alive."""

    link: Link


@dataclass(frozen=True, slots=True)
class Redial:
    """Make another connection; `failed`: the last try was in vain."""

    failed: bool


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
class PeerRinging:
    """It rings there."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """They call, and the person has to say yes or no."""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The conversation is open."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection is gone; the conversation goes on when there is another."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The conversation goes on, on another connection."""


@dataclass(frozen=True, slots=True)
class TurnPassed:
    """Somebody else may speak now."""

    turn: TurnHolder


@dataclass(frozen=True, slots=True)
class Received:
    """The peer said `text`; numbered messages carry `id`, and `line` is their line of the log.

    `at`: when, by their clock, in seconds since 1970; None where they do not tell.
    """

    text: str
    id: int = 0
    line: int = 0
    at: Wall | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """What we said waits, where messages are numbered as `id`."""

    text: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What we said never went out."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """What became of our message `id`: `state` is one of `peer.ledger`'s, `reason` may say why."""

    id: int
    state: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The conversation is over. `left`: the other person ended it by a farewell or by going."""

    reason: str
    left: bool


Effect = (
    Acknowledge
    | AcceptCall
    | SendChat
    | PeerRinging
    | MessageOutcome
    | Broken
    | Call
    | Drop
    | SessionEnded
    | Received
    | Queued
    | Leave
    | SessionOpened
    | ProbeConnection
    | Redial
    | Refuse
    | Resumed
    | Ringing
    | SendEntry
    | Speak
    | StopDialling
    | TurnPassed
    | Unsaid
)
