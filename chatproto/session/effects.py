"""Effects: the instructions that a session returns instead of acting itself.

An effect either writes to a connection or is news for the user. The session never inspects a
connection: it compares connections, and passes effects to them.
"""

from __future__ import annotations

from typing import Any

from chatproto.net.clock import Wall
from chatproto.session.floor import TurnHolder
from chatproto.session.ledger import StreamEntry
from chatproto.wire.values import value_class

Connection = Any
"""One connection to the peer; hashable. The session compares connections, but never inspects one."""


@value_class
class Call:
    """Write the opener of the plain dialect on `connection`, which we dialled."""

    connection: Connection


@value_class
class Speak:
    """Write `text` as one message; `connection` None: on a new connection for this message."""

    connection: Connection
    text: str


@value_class
class Leave:
    """Write the farewell, then half-close, then close; `connection` None: on a new connection for it."""

    connection: Connection
    word: str


@value_class
class Opening:
    """Headers of CHAT and CHATACK besides the id.

    `stream`: name of the sender's numbering. `have`: name of the receiver's numbering and the highest
    id received in it. `turn`: `mine`, `theirs` or `both` as the sender sees it in a conversation that
    continues; empty in a new one.
    """

    half: bool
    stream: str
    have: tuple[str, int] = ("", 0)
    turn: str = ""


@value_class
class SendChat:
    """Send CHAT on `connection`: we call, and the peer must accept."""

    connection: Connection
    opening: Opening


@value_class
class AcceptCall:
    """Send CHATACK on `connection`: accept the peer's call."""

    connection: Connection
    opening: Opening


@value_class
class SendEntry:
    """Write a numbered entry on `connection`, after those before it."""

    connection: Connection
    entry: StreamEntry


@value_class
class EntryWritten:
    """Report that a connection writes `entry`; `first`: it was not written before."""

    entry: StreamEntry
    first: bool


@value_class
class TextWritten:
    """Report that a connection writes our message `text`, which has no number."""

    text: str


@value_class
class Acknowledge:
    """Send MSGACK on `connection`: everything up to `id` is stored."""

    connection: Connection
    id: int


@value_class
class ProbeConnection:
    """Send PING on `connection`; call `PeerSession.silent` if no answer comes within `PROBE_WAIT`."""

    connection: Connection


@value_class
class Redial:
    """Make another connection; `failed`: the previous attempt got no answer."""

    failed: bool


@value_class
class Refuse:
    """Send ERROR `status` to the caller waiting on `connection`, then close."""

    connection: Connection
    status: int


@value_class
class Drop:
    """Close `connection` without a farewell."""

    connection: Connection


@value_class
class StopDialling:
    """Cancel a dial that is still in progress."""


@value_class
class PeerRinging:
    """Report that CHAT was sent and the call rings at the peer."""


@value_class
class Ringing:
    """Ask the user to accept or decline the peer's call."""


@value_class
class SessionOpened:
    """Report that the conversation is open."""


@value_class
class Broken:
    """Report that the connection is lost; the session stays and resumes on another one."""

    reason: str


@value_class
class Resumed:
    """Report that the conversation continues on another connection."""


@value_class
class TurnPassed:
    """Report whose turn it is now."""

    turn: TurnHolder


@value_class
class Received:
    """Show `text` from the peer.

    `id`: its number, 0 in plain dialects. `line`: its line number in the log. `at`: when it was sent by
    the peer's clock, in seconds since 1970; None if the dialect has no time.
    """

    text: str
    id: int = 0
    line: int = 0
    at: Wall | None = None


@value_class
class Queued:
    """Report that our message is queued; `id` is its number, 0 in plain dialects."""

    text: str
    id: int = 0


@value_class
class Unsaid:
    """Report that our message `text` was never sent."""

    text: str
    reason: str


@value_class
class MessageOutcome:
    """Report the outcome of our message `id`: `state` is DELIVERED, UNCERTAIN or UNDELIVERED."""

    id: int
    state: str
    text: str
    reason: str = ""


@value_class
class SessionEnded:
    """Report the end of the conversation; the code of `reason` tells which end closed it."""

    reason: str


Effect = (
    Acknowledge
    | AcceptCall
    | SendChat
    | PeerRinging
    | MessageOutcome
    | Broken
    | Call
    | Drop
    | EntryWritten
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
    | TextWritten
    | TurnPassed
    | Unsaid
)
