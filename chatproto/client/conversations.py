"""Conversations that have not ended, and the target of typed lines.

There is one target: a conversation, a room, an away contact, or a target that has ended.
A line for an away contact is queued. A line for an ended target is refused, so that it never
reaches another peer that has called meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from chatproto.client.context import Signal
from chatproto.client.conversation import Conversation
from chatproto.client.targets import AwayContact, EndedTarget, Target
from chatproto.client.trust_store import TrustStore
from chatproto.identity.names import NameBook
from chatproto.identity.recipient import Recipient
from chatproto.net.clock import Monotonic
from chatproto.session.state import SessionState
from chatproto.wire import reasons
from chatproto.wire.errors import LocalError


class Conversations:
    """Every conversation from its call to its end, the oldest first.

    Typed lines are sent to `target`. `moved` fires when the target changes from one to another, so that
    the user is notified; `renamed` fires when a conversation gets another name.

    Args: trust: the pinned keys. seconds: monotonic time. typed: True if lines are typed at a terminal.
    """

    def __init__(
        self,
        trust: TrustStore,
        seconds: Callable[[], Monotonic],
        typed: bool,
    ) -> None:
        self.names = NameBook(
            lambda: trust.file.pins,
            lambda: trust.server_key,
            self.recipient_of,
        )
        self.moved: Signal[Target] = Signal()
        self.renamed: Signal[Conversation] = Signal()
        self.typed = typed
        self._seconds = seconds
        self.target: Target | None = None
        """Recipient of the next line, equal only to itself; changed by `move_to`."""
        self.room = ""
        """Room that is the target, or an empty string."""
        self._all: list[Conversation] = []
        self._number = 0

    def __iter__(self) -> Iterator[Conversation]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def new_number(self) -> int:
        """Return the next number for a call or file that the user can name in a command."""
        self._number += 1
        return self._number

    def move_to(self, target: Target | None) -> bool:
        """Make `target` the target of typed lines; return True if the user was notified of the change."""
        before = self._change(target)
        if before is None or target is None or target == before:
            return False
        told = before.is_live and target.is_live
        if told:
            self.moved(target)
        return told

    def swap(self, target: Target | None) -> Target | None:
        """Replace the target without notifying the user; return the previous one."""
        if target is not None:
            target = target.settled(self._all, self._seconds())
        return self._change(target)

    def _change(self, target: Target | None) -> Target | None:
        """Set the target; return the previous one."""
        before, self.target = self.target, target
        self.room = target.room if target is not None else ""
        return before

    @property
    def current(self) -> Conversation | None:
        """Conversation that is the target, also with a contact that was away and is back."""
        return self.target.conversation(self.with_recipient) if self.target is not None else None

    def is_current(self, conversation: Conversation) -> bool:
        """Return True if `conversation` is the target."""
        return self.current is conversation

    @property
    def away(self) -> AwayContact | None:
        """Away contact for which typed lines are queued, unless there is a conversation with it."""
        return self.target.away if self.target is not None else None

    @property
    def vacant(self) -> bool:
        """Return True if a new caller becomes the target: there is none, and none ended a moment ago."""
        return self.target is None or self.target.may_be_replaced(self._seconds(), self.typed)

    @property
    def target_name(self) -> str:
        """Name of the target; empty if there is none."""
        return self.target.name if self.target is not None and self.target.is_live else ""

    def why_not_for(self, intended: Target | None) -> str:
        """Return why a line typed for `intended` must not be sent; empty if the target or its recipient is
        still the same.
        """
        now = self.target
        if intended is None:
            return reasons.NOT_SENT_NOW_TO(now=now.name) if now is not None and now.is_live else ""
        intended = intended.latest
        if now == intended:
            return ""
        if now is not None:
            if now.addressee is not None and now.addressee == intended.addressee:
                return ""
            if now.is_live:
                return reasons.NOT_SENT_TYPED_FOR(target=intended.name, now=now.name)
        return intended.why_not_sent()

    def no_recipient(self, hint: str = "") -> LocalError:
        """Return the error for a line without a recipient, and forget an ended target."""
        target = self.target
        if target is None or target.is_live:
            return LocalError(404, reasons.NO_CURRENT(hint=hint or self._next_step))
        self._change(None)
        return LocalError(404, target.why_not_sent(hint))

    @property
    def _next_step(self) -> str:
        """Hint for a user without a target: answer in the last open conversation, or call."""
        last = next((one for one in reversed(self._all) if one.state is SessionState.OPEN), None)
        return reasons.CALL_HINT if last is None else f"/switch {last.name} to answer"

    def ended(self, target: Target, own: bool) -> None:
        """Note that `target` has ended; `own`: the user ended it."""
        if self.target is not None and self.target.ends_with(target):
            self.move_to(None if own else EndedTarget(target.name, self._seconds()))

    def begin(self, make: Callable[[int], Conversation]) -> Conversation:
        """Add the conversation that `make` returns for its new number."""
        conversation = make(self.new_number())
        self._all.append(conversation)
        return conversation

    def end(self, conversation: Conversation, own: bool = False) -> None:
        """Remove `conversation`; `own`: the user ended it."""
        self.ended(conversation, own)
        self._all.remove(conversation)

    def named(self, name: str) -> Conversation | None:
        """Return the conversation named `name`, if there is one."""
        return next((one for one in self._all if one.name == name), None)

    def recipient_of(self, name: str) -> Recipient | None:
        """Return the recipient of the conversation named `name`, if there is one."""
        found = self.named(name)
        return found.recipient if found is not None else None

    def with_recipient(self, recipient: Recipient) -> Conversation | None:
        """Return the conversation with `recipient`, if there is one."""
        return next((one for one in self._all if one.recipient == recipient), None)

    def conversation_for(self, to: str) -> Conversation | None:
        """Return the conversation with the peer named `to`, or None; if `to` is empty, the current one.

        Raises LocalError if `to` is unknown or ambiguous.
        """
        if to:
            return self.with_recipient(self.names.resolve(to))
        return self.target.receiver(self.with_recipient) if self.target is not None else None

    def known(self, what: str) -> Conversation | None:
        """Return `conversation_for(what)`, or the one named `what?`, for commands that send nothing."""
        return self.conversation_for(what) or self.called(what)

    def called(self, name: str) -> Conversation | None:
        """Return the conversation named `name`, or else `name?`, whose id is not confirmed."""
        return self.named(name) or self.named(f"{name}?")

    def need_current(self) -> Conversation:
        """Return the current conversation. Raises LocalError 404 if there is none."""
        if self.current is None:
            raise LocalError(
                404,
                reasons.FOR_ONE_PEER(room=self.room)
                if self.room
                else reasons.PEER_AWAY(peer=self.away.name)
                if self.away is not None
                else reasons.NO_CURRENT(hint=self._next_step),
            )
        return self.current

    def rings(self, what: str = "") -> list[Conversation]:
        """List the ringing calls, the oldest first; only those of `what`, a name or number, if given."""
        return [
            one
            for one in self._all
            if one.state is SessionState.RINGING
            and what in ("", one.name, one.name.rstrip("?"), str(one.number))
        ]

    def count_ringing(self, *, known: bool) -> int:
        """Return the number of ringing calls from pinned keys (`known`), or from all others."""
        return sum(one.state is SessionState.RINGING and one.known is known for one in self._all)

    def ringing(self, what: str = "") -> Conversation:
        """Return the latest ringing call, of `what` (a name or number) if given. Raises LocalError 404."""
        rings = self.rings(what)
        if not rings:
            raise LocalError(404, reasons.NO_CALL_OF(what=what) if what else reasons.NO_CALLS())
        return rings[-1]

    def rename(self, conversation: Conversation, wanted: str, *, named: bool) -> None:
        """Rename `conversation` to `wanted`, or `wanted~2` and so on if another peer has that name.

        `named`: the name is an id that the peer or a server gave, not an address.
        """
        taken = {one.name for one in self._all if one.recipient != conversation.recipient}
        name = self.names.name_for(conversation.recipient, wanted, taken.__contains__)
        conversation.name = name
        conversation.called = wanted
        conversation.named = named
        session = conversation.session
        if session.delivery is not None:
            session.delivery.name = name
        self.renamed(conversation)

    def one_way(self, host: str, *, dialled: bool) -> Conversation | None:
        """Return the raw conversation with `host` that is used in one direction, if there is exactly one.

        Some programs never answer on a connection that they accepted, but dial their own.
        `dialled`: we made the connection, and the peer has sent nothing on it.
        """
        found = [
            one
            for one in self._all
            if one.state is SessionState.OPEN
            and one.is_one_way(dialled=dialled)
            and one.peer_host == host
        ]
        return found[0] if len(found) == 1 else None

    @property
    def unsent(self) -> int:
        """Number of our messages not yet written, in all conversations."""
        return sum(conversation.unsent for conversation in self._all)

    def unwritten(self) -> list[tuple[str, str]]:
        """List name and text of each queued message that is not in the outbox."""
        return [(one.name, text) for one in self._all for text in one.session.waiting]

    def rows(self) -> list[dict[str, Any]]:
        """Return the conversations with their states, for /who."""
        return [
            {
                "id": one.name,
                "key": one.key,
                "host": one.host,
                "port": one.port,
                "state": one.state.value,
                "security": one.security(),
                "path": one.path if one.state is SessionState.OPEN else None,
                "turn": one.session.floor.turn.value,
                "current": one is self.current,
            }
            for one in self._all
        ]


Result = TypeVar("Result")


class ActiveTarget:
    """Target of the lines of a script, separate from that of the terminal user."""

    def __init__(self, all: Conversations) -> None:
        self._all = all
        self._target: Target | None = None

    def choose(self, target: Target) -> None:
        """Set the target of this script without notifying the user."""
        self._target = target

    def run(self, what: Callable[[], Result]) -> Result:
        """Call `what` while this target replaces the user's."""
        theirs = self._all.swap(self._target)
        try:
            return what()
        finally:
            self._target = self._all.swap(theirs)
