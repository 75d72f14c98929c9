"""Targets of typed lines other than conversations: a room, an away contact, an ended target."""

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
"""Seconds in which no caller becomes the target by itself after one has ended.

The user may be typing a line for the ended target. Only on a terminal, and not with --plain.
"""


class Target:
    """Target of typed lines; each kind overrides the methods that differ."""

    __slots__ = ()

    name: str
    """Name that the user uses for it."""

    @property
    def is_live(self) -> bool:
        """True if lines can still be sent to it."""
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
    def addressee(self) -> Recipient | None:
        """Recipient of its lines; None for a room."""
        return None

    @property
    def away(self) -> AwayContact | None:
        """This target if it is a contact for which lines are queued."""
        return None

    @property
    def log_key(self) -> str | None:
        """Key of its messages in the log of this program; None if the log has none."""
        return None

    @property
    def latest(self) -> Target:
        """Target that took over its lines: this one, unless it was merged into another."""
        return self

    def receiver(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        """Return the conversation in which a line for it is sent; `find` looks one up by its recipient."""
        return None

    def conversation(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        """Return the open conversation that lines for it are sent to."""
        return None

    def settled(self, running: Container[object], now: Monotonic) -> Target:
        """Return its present form; only the conversations in `running` have not ended."""
        return self

    def ends_with(self, other: Target) -> bool:
        """Return True if it ends when `other` does."""
        return self == other

    def may_be_replaced(self, now: Monotonic, typed: bool) -> bool:
        """Return True if a new caller may replace it; `typed`: lines are typed at a terminal."""
        return False

    def why_not_sent(self, hint: str = "") -> str:
        """Return why a line typed for it was not sent, now that it is no longer the target.

        `hint`: next step for the user; usually to call again, or to join the room again.
        """
        name = self.name
        if name.startswith("#"):
            return reasons.NOT_SENT_LEFT(target=name, hint=hint or f"/join {name} enters it again")
        again = f"/chat {name} calls again" if ID.fullmatch(name) else reasons.CALL_HINT
        return reasons.NOT_SENT_ENDED(target=name, hint=hint or again)

    def show_current(self, publish: Signal[Event]) -> None:
        """Notify the user that it is the target; for a room `JoinedRooms` does that."""


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
    """A contact with a pinned key that may be away; `name` is the user's name for it."""

    recipient: KeyedPerson
    name: str

    @property
    def addressee(self) -> Recipient | None:
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
        return self == other or (other.was_open and other.addressee == self.recipient)

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

    def may_be_replaced(self, now: Monotonic, typed: bool) -> bool:
        return not typed or now >= self.at + TAKEOVER
