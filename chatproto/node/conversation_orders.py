"""What the person says to people, and asks of the conversations with them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from chatproto.node.calls import Calls
from chatproto.node.conversation import Conversation
from chatproto.node.events import Notice
from chatproto.node.files import Files
from chatproto.peer.plain_session import PlainSession
from chatproto.peer.secure_session import SecureSession
from chatproto.peer.table import State
from chatproto.wire.dialects import RAW, Dialect
from chatproto.wire.errors import LocalError

MEANT = {
    **dict.fromkeys(("help", "?", "h", "man", "commands"), "/help"),
    **dict.fromkeys(("quit", "exit", "q", ":q", ":q!", "bye", "logout", "close", "end"), "/quit"),
    **dict.fromkeys(("who", "users", "list", "info"), "/info"),
}
"""Words that are meant as commands where nobody is there to hear them."""


class OrdersOwner(Protocol):
    """What they need of the node."""

    files: Files | None

    def leave_for(self, client_id: str, text: str) -> bool:
        """Keep `text` for somebody with whom there is no conversation; whether that can be."""


class ConversationOrders:
    """Each goes to the current conversation, or to the one that is named; each raises LocalError with one
    sentence.
    """

    def __init__(self, node: OrdersOwner, calls: Calls) -> None:
        self._node = node
        self._calls = calls

    def say(self, text: str, to: str = "") -> None:
        """Say `text` in the current conversation, or in the one with `to`, or leave it for `to`."""
        conversation = self.whom(to)
        if conversation is None and to and self._node.leave_for(to, text):
            return
        if conversation is None:
            if to:
                raise LocalError(404, f"you are not talking with {to}: /chat calls somebody")
            meant = MEANT.get(text.strip().lower())
            hint = f"did you mean {meant}?" if meant else "/chat calls somebody"
            raise LocalError(404, f"you are talking with nobody: {hint}")
        self.say_in(conversation, text)

    def whom(self, to: str) -> Conversation | None:
        """The conversation with `to`, by their name or by the key that it has; else the current one."""
        if not to:
            return self._calls.all.current
        pin = (
            self._calls.acquaintances.pinned(to) if self._calls.acquaintances is not None else None
        )
        by_key = [one for one in self._calls.all if pin is not None and one.key == pin.key]
        return by_key[0] if by_key else self._calls.all.called(to)

    def say_in(self, conversation: Conversation, text: str) -> None:
        """Say `text` in `conversation`."""
        known = self._calls.acquaintances
        pin = known.pinned(conversation.name) if known is not None else None
        if pin is not None and isinstance(conversation.session, SecureSession):
            self._calls.attach(conversation, conversation.key or pin.key)
        if len(text.encode()) > self._calls.limits.message:
            raise LocalError(413, f"a message has at most {self._calls.limits.message} bytes")
        session = conversation.session
        words = session.dialect.farewells
        if session.dialect is RAW:
            words = words | frozenset(self._calls.settings.farewells)
        self._refuse_too_long(conversation, text)
        if text in words and conversation.state is State.OPEN:
            conversation.perform(session.leave(text))
        elif conversation.unsent >= self._calls.limits.waiting_messages:
            raise LocalError(
                429, f"{conversation.unsent} messages wait already: this one was not taken"
            )
        else:
            conversation.perform(session.say(text, self._calls.now()))

    def _refuse_too_long(self, conversation: Conversation, text: str) -> None:
        """Warn before a message that ends the chat with a program that reads a frame at once.

        Raises LocalError 413; the same text once more is said all the same.
        """
        dialect = conversation.session.dialect
        if not isinstance(dialect, Dialect) or not dialect.longest:
            return
        size = len(dialect.frame(self._calls.me, text, b""))
        if size > dialect.longest and conversation.warned_of != text:
            conversation.warned_of = text
            raise LocalError(
                413,
                f"not said: it has {size} bytes in the dialect {dialect.name}, and a program that reads "
                f"{dialect.longest} at most ends the chat; shorten it, or say it again as it is",
            )
        conversation.warned_of = ""

    def accept(self, what: str) -> None:
        """Take a call that rings; the conversation becomes the current one."""
        conversation = self._calls.all.ringing(what)
        self._calls.all.current = conversation
        self._calls.take(conversation)

    def decline(self, what: str) -> None:
        """Refuse a call that rings."""
        conversation = self._calls.all.ringing(what)
        conversation.perform(conversation.session.decline())

    def switch(self, what: str) -> None:
        """Make the conversation with `what` the current one."""
        conversation = self._calls.all.called(what)
        if conversation is None:
            raise LocalError(404, f"there is no conversation with {what}")
        self._calls.all.current = conversation
        conversation.show(current=True)

    def set_half(self, half: bool) -> None:
        """Take turns in the current conversation, or no more."""
        conversation = self._calls.all.need_current()
        effects = conversation.session.set_half(half, self._calls.now())
        conversation.show(mode="half" if half else "full")
        conversation.perform(effects)

    def over(self) -> None:
        """Pass the turn."""
        conversation = self._calls.all.need_current()
        conversation.perform(conversation.session.over(self._calls.now()))

    def unsend(self, conversation: Conversation, number: int) -> None:
        """Take back a message of `conversation` that has not arrived."""
        session = conversation.session
        if isinstance(session, PlainSession):
            raise LocalError(405, "what is said in the open cannot be taken back")
        conversation.perform(session.unsend(number))

    def ignore(self, peer: str) -> None:
        """Hear no more of `peer`: what there is with them ends, and no call is taken; or hear them again."""
        ignored = peer not in self._calls.ignored
        if ignored and len(self._calls.ignored) >= self._calls.limits.ignored:
            raise LocalError(
                413, f"more than {self._calls.limits.ignored} people cannot be ignored"
            )
        self._calls.ignored ^= {peer}
        self._calls.tell(Notice(f"{peer} is {'ignored' if ignored else 'no longer ignored'}"))
        theirs = [one for one in self._calls.all if one.name == peer] if ignored else []
        for one in theirs:
            rings = one.state is State.RINGING
            one.perform(one.session.decline() if rings else one.session.leave())

    def quit_current(self) -> bool:
        """Leave the current conversation. False if there is none."""
        conversation = self._calls.all.current
        if conversation is None:
            return False
        conversation.perform(conversation.session.leave())
        return True

    def send(self, paths: list[str], to: str = "") -> None:
        """Send files to `to`, or to the one of the current conversation."""
        files = self._node.files
        conversation = self.whom(to) if to else self._calls.all.need_current()
        if conversation is None:
            raise LocalError(404, f"you are not talking with {to}: /chat calls somebody")
        if isinstance(conversation.session, SecureSession) and conversation.key is None:
            raise LocalError(404, f"{conversation.name} is not there yet: send it when you talk")
        if conversation.key is None or files is None:
            how = conversation.session.dialect.name
            raise LocalError(405, f"{conversation.name} speaks {how}, which has no files")
        person = files.of(conversation.key, conversation.name)
        person.offer([Path(path) for path in paths])
