"""Keep a target of its own for each script at the control socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chatproto.client.conversations import Conversations
from chatproto.client.target import Target

Result = TypeVar("Result")


class ActiveTarget:
    """A target of one's own: what a script opens is not where a person types."""

    def __init__(self, all: Conversations) -> None:
        self._all = all
        self._target: Target = None

    def run(self, what: Callable[[], Result]) -> Result:
        """Do `what` with our own target in place of that of the person."""
        theirs = self._all.swap(self._target)
        try:
            return what()
        finally:
            self._target = self._all.swap(theirs)
