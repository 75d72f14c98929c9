"""What the person is asked: calls that ring and files that are offered, in one numbering."""

from __future__ import annotations

from typing import Protocol

from chatproto.client.calls import Calls
from chatproto.client.conversation_orders import ConversationOrders


class Offers(Protocol):
    """What it needs of the files; an answer raises LocalError where `number` asks nothing any more."""

    def has(self, number: int) -> bool: ...
    def offered(self, name: str = "") -> list[int]: ...
    def accept(self, number: int) -> bool: ...
    def decline(self, number: int) -> bool: ...


class Questions:
    """`answer` takes a number, a name (of digits: with `@` before it), or nothing: what was asked last."""

    def __init__(self, calls: Calls, talk: ConversationOrders) -> None:
        self._calls = calls
        self._talk = talk

    def answer(self, files: Offers | None, what: str, yes: bool) -> None:
        """Yes or no to `what`. Raises LocalError if that asks nothing."""
        number = self._offered(files, what) if files is not None else None
        what = what.removeprefix("@")
        if files is None or number is None:
            (self._talk.accept if yes else self._talk.decline)(what)
        elif yes:
            files.accept(number)
        else:
            files.decline(number)

    def _offered(self, files: Offers, what: str) -> int | None:
        """The number of the file that `what` means; None: it means a call."""
        if what.isdecimal() and files.has(int(what)):
            return int(what)
        name = what.removeprefix("@")
        offered, rings = files.offered(name), self._calls.all.rings(name)
        if not offered or (rings and rings[-1].number > offered[-1]):
            return None
        return offered[-1]
