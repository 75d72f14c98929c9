"""Targets of typed lines that are no conversation: a room, a contact who is away, one that has ended."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from chatproto.client.context import Signal
from chatproto.client.events import Event, SessionChanged
from chatproto.identity.recipient import KeyedPerson, Recipient
from chatproto.net.clock import Monotonic
from chatproto.session.state import SessionState
from chatproto.wire import reasons
from chatproto.wire.fields import ID
from chatproto.wire.values import value_class

if TYPE_CHECKING:
    from chatproto.client.conversation import Conversation

TAKEOVER = 60.0
"""Seconds for which no caller becomes the target by themselves after one has ended.

The person may be typing a line for the one before. Only on a terminal, and not with --plain.
"""


class Target:
    """Something that typed lines can go to; each kind overrides the answers that are different there."""

    __slots__ = ()

    name: str
    """The name that the person uses for it."""

    @property
    def is_live(self) -> bool:
        """True if lines still go to it."""
        return True

    @property
    def was_open(self) -> bool:
        """True for a conversation that was open at some time."""
        return False

    @property
    def room(self) -> str:
        """Name of the room, with its `#`; empty for anything else."""
        return ""

    @property
    def person(self) -> Recipient | None:
        """The recipient of lines for it; None for a room."""
        return None

    @property
    def away(self) -> AwayContact | None:
        """This target if it is a contact for whom lines are queued."""
        return None

    @property
    def log_key(self) -> str | None:
        """Key of its messages in the log of this program; None if the log has none."""
        return None

    @property
    def latest(self) -> Target:
        """The target that goes on with its lines: this one, unless it was merged into another."""
        return self

    def receiver(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        """Return the conversation in which a line for it is said; `find` has those that there are."""
        return None

    def conversation(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        """Return the open conversation that lines for it go to."""
        return None

    def settled(self, running: Container[object], now: Monotonic) -> Target:
        """Return what it is by now, as only the conversations `running` are not over."""
        return self

    def ends_with(self, other: Target) -> bool:
        """Return True if it is over when `other` is."""
        return self == other

    def gives_way(self, now: Monotonic, typed: bool) -> bool:
        """Return True if a new caller takes its place; `typed`: lines come from a person."""
        return False

    def why_gone(self, hint: str = "") -> str:
        """Return why a line that was typed for it was not sent, now that it is no target.

        `hint`: what to do now; usually to call again, or to enter the room again.
        """
        name = self.name
        if name.startswith("#"):
            return reasons.NOT_SENT_LEFT(target=name, hint=hint or f"/join {name} enters it again")
        again = f"/chat {name} calls again" if ID.fullmatch(name) else reasons.CALL_HINT
        return reasons.NOT_SENT_ENDED(target=name, hint=hint or again)

    def show_current(self, publish: Signal[Event]) -> None:
        """Tell the person that the next line goes there; a room is told of by `JoinedRooms`."""


@value_class
class RoomTarget(Target):
    """A room, by its name with the `#`."""

    name: str

    @property
    def room(self) -> str:
        return self.name

    @property
    def log_key(self) -> str | None:
        return self.name


@value_class
class AwayContact(Target):
    """A contact with a pinned key who may be away; `name` is what the person calls them."""

    recipient: KeyedPerson
    name: str

    @property
    def person(self) -> Recipient | None:
        return self.recipient

    @property
    def away(self) -> AwayContact | None:
        return self

    @property
    def log_key(self) -> str | None:
        return self.recipient.key

    def receiver(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        return find(self.recipient)

    def conversation(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        found = find(self.recipient)
        return found if found is not None and found.state is SessionState.OPEN else None

    def ends_with(self, other: Target) -> bool:
        return self == other or (other.was_open and other.person == self.recipient)

    def show_current(self, publish: Signal[Event]) -> None:
        publish(SessionChanged(self.name, "closed", current=True))


@value_class
class EndedTarget(Target):
    """A target that ended by itself; `at` is when, on the reactor's clock."""

    name: str
    at: float

    @property
    def is_live(self) -> bool:
        return False

    def gives_way(self, now: Monotonic, typed: bool) -> bool:
        return not typed or now >= self.at + TAKEOVER
