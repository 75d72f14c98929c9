"""Whom one speaks to who is not the person at the screen but gives commands beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chatproto.node.conversation import Conversation
from chatproto.node.conversations import Conversations

Result = TypeVar("Result")


class Standing:
    """A current conversation, or room, of one's own: what a script opens is not where a person types."""

    def __init__(self, all: Conversations) -> None:
        self._all = all
        self._conversation: Conversation | None = None
        self._room = ""

    def run(self, what: Callable[[], Result]) -> Result:
        """Do `what` with our own current conversation in place of that of the person."""
        theirs = self._all.current, self._all.room
        self._stand(self._conversation, self._room)
        try:
            return what()
        finally:
            self._conversation, self._room = self._all.current, self._all.room
            self._stand(*theirs)

    def _stand(self, conversation: Conversation | None, room: str) -> None:
        """Be where one was, unless that conversation is over."""
        if conversation is not None and conversation not in self._all:
            conversation = None
        self._all.speak_in(room)
        self._all.current = conversation
