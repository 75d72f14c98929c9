"""Target of a typed line.

There is one target at a time: a conversation, a room, a contact who is away, or one that has ended.
A line for a contact who is away is queued; a line for a target that has ended is refused, so that
it never goes to whoever has called meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.client.conversation import Conversation
from chatproto.identity.recipient import KeyedPerson


@dataclass(frozen=True, slots=True)
class RoomTarget:
    """A room, by its name with the `#`."""

    name: str


@dataclass(frozen=True, slots=True)
class AwayContact:
    """A contact with a pinned key who may be away; `name` is what the person calls them."""

    recipient: KeyedPerson
    name: str


@dataclass(frozen=True, slots=True)
class EndedTarget:
    """A target that ended by itself; `at` is when, on the reactor's clock."""

    name: str
    at: float


Target = Conversation | RoomTarget | AwayContact | EndedTarget | None

TAKEOVER = 60.0
"""Seconds for which nobody who calls becomes the target by themselves after one has ended.

The person may be typing a line for the one before. Only on a terminal, and not with --plain.
"""
