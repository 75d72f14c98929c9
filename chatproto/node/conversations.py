"""The conversations that are not over, and which of them is the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chatproto.identity.names import NameBook
from chatproto.identity.recipient import Recipient
from chatproto.node.conversation import Conversation
from chatproto.peer.secure_session import SecureSession
from chatproto.peer.table import State
from chatproto.wire.errors import LocalError


class Conversations:
    """Every conversation from its call to its end, the oldest first.

    What is typed goes to `current`, or, where there is none, to the room `room`, if that is not empty.
    """

    def __init__(self, names: NameBook | None = None) -> None:
        self.room = ""
        self._names = names or NameBook(live=self.recipient_of)
        self._current: Conversation | None = None
        self._all: list[Conversation] = []
        self._number = 0

    def __iter__(self) -> Iterator[Conversation]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def new_number(self) -> int:
        """A number for something that a person may be asked about, higher than all before."""
        self._number += 1
        return self._number

    @property
    def current(self) -> Conversation | None:
        """Who is spoken to."""
        return self._current

    @current.setter
    def current(self, conversation: Conversation | None) -> None:
        self._current = conversation
        if conversation is not None:
            self.room = ""

    @property
    def vacant(self) -> bool:
        """Whether what is typed goes nowhere."""
        return self._current is None and not self.room

    @property
    def target_name(self) -> str:
        """The name of whoever gets the next line; empty if nobody does."""
        return self._current.name if self._current is not None else self.room

    def speak_in(self, room: str) -> None:
        """What is typed goes to `room` now."""
        self._current, self.room = None, room

    def begin(self, make: Callable[[int], Conversation]) -> Conversation:
        """Keep what `make` makes of the number of this call."""
        conversation = make(self.new_number())
        self._all.append(conversation)
        return conversation

    def end(self, conversation: Conversation) -> None:
        """Forget it."""
        self._all.remove(conversation)
        if conversation is self.current:
            self.current = None

    def named(self, name: str) -> Conversation | None:
        """The one with `name`."""
        return next((one for one in self._all if one.name == name), None)

    def recipient_of(self, name: str) -> Recipient | None:
        """Whom the conversation with `name` is for, if there is one."""
        found = self.named(name)
        return found.recipient if found is not None else None

    def with_recipient(self, recipient: Recipient) -> Conversation | None:
        """The conversation with `recipient`."""
        return next((one for one in self._all if one.recipient == recipient), None)

    def called(self, name: str) -> Conversation | None:
        """The one with `name`, or with `name?`, where there is a doubt that it is them."""
        return self.named(name) or self.named(f"{name}?")

    def need_current(self) -> Conversation:
        """The current one. Raises LocalError."""
        if self.current is None:
            raise LocalError(
                404,
                f"{self.room} is a room, and that is for a talk with one person"
                if self.room
                else "you are talking with nobody: /chat calls somebody",
            )
        return self.current

    def rings(self, what: str = "") -> list[Conversation]:
        """Every call that rings, or those of `what`, a name or a number; the oldest first."""
        return [
            one
            for one in self._all
            if one.state is State.RINGING
            and what in ("", one.name, one.name.rstrip("?"), str(one.number))
        ]

    def strangers_ringing(self) -> int:
        """Return how many calls ring whose key is not pinned."""
        return sum(one.state is State.RINGING and not one.known for one in self._all)

    def known_ringing(self) -> int:
        """Return how many calls of pinned keys ring."""
        return sum(one.state is State.RINGING and one.known for one in self._all)

    def ringing(self, what: str = "") -> Conversation:
        """The call that rang last, or the one of `what`, a name or a number. Raises LocalError."""
        rings = self.rings(what)
        if not rings:
            raise LocalError(404, f"{what} does not call" if what else "nobody calls")
        return rings[-1]

    def rename(self, conversation: Conversation, wanted: str, *, named: bool) -> None:
        """Call it `wanted`, or, where that means somebody else, `wanted~2` and so on.

        `named`: it is an id that they told or a server gave, not an address.
        """
        taken = {one.name for one in self._all if one.recipient != conversation.recipient}
        name = self._names.name_for(conversation.recipient, wanted, taken.__contains__)
        conversation.name = name
        conversation.called = wanted
        conversation.named = named
        session = conversation.session
        if isinstance(session, SecureSession) and session.post is not None:
            session.post.name = name

    def one_way(self, host: str, *, dialled: bool) -> Conversation | None:
        """The one in bare text with somebody at `host` that goes one way only, if there is just one.

        Some programs never answer on a connection that they accepted but make one of their own.
        `dialled`: we made the connection, and they have not said anything on it.
        """
        found = [
            one
            for one in self._all
            if one.state is State.OPEN and one.one_way(dialled=dialled) and one.peer_host == host
        ]
        return found[0] if len(found) == 1 else None

    @property
    def unsent(self) -> int:
        """How many messages of ours have not been written yet, in all of them."""
        return sum(conversation.unsent for conversation in self._all)

    def rows(self) -> list[dict[str, Any]]:
        """Each with how it stands, for /who."""
        return [
            {
                "id": one.name,
                "key": one.key,
                "host": one.host,
                "port": one.port,
                "state": one.state.value,
                "security": one.security(),
                "path": one.path if one.state is State.OPEN else None,
                "turn": one.session.floor.turn.value,
                "current": one is self.current,
            }
            for one in self._all
        ]
