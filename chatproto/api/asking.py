"""Send commands, and read their results."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from chatproto.api.errors import Refused

Form = Mapping[str, Any]
"""Command as an object of the JSON interface: `{"do": "join", "room": "#tea"}`."""
Fields = Mapping[str, Any]
"""Event as an object of the JSON interface."""
Result = TypeVar("Result")

WAIT = 75.0
"""Default timeout of a request in seconds."""
WELL = frozenset({"ok", "open", "delivered", "queued", "sent", "done"})
"""Codes of `done` for a command that has succeeded; any other one is a failure."""


@dataclass(slots=True)
class Outcome:
    """Events of a command up to its end. `code`: of the event `done`.

    `last` has the latest event of each kind, by name.
    """

    code: str = ""
    last: dict[str, Fields] = field(default_factory=dict)

    def field(self, event: str, name: str) -> object:
        """Return a field of the latest event of that kind, or None."""
        return self.last.get(event, {}).get(name)


class Asker(ABC):
    """A client that carries out commands."""

    @abstractmethod
    def ask(
        self,
        form: Form,
        read: Callable[[Outcome], Result],
        wait: float | None = WAIT,
        progress: Callable[[Fields], object] | None = None,
    ) -> Awaitable[Result]:
        """Carry out `form` up to its end.

        Args: read: returns the result from the outcome. wait: seconds, None for no limit. progress:
        called with each event of the command.
        Raises: Refused: also after a timeout or when the connection closes.
        """

    @abstractmethod
    def settled(self) -> Awaitable[None]:
        """Return a result that needs no command."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Result of `send`: `queued` if the message waits for the peer or for our turn.

    `id` is its number for `unsend`, or its id in a room; None if the client sent none.
    """

    to: str
    queued: bool = False
    id: int | str | None = None


def refused(fields: Fields) -> Refused:
    """Return the error for an event `error` or `done`."""
    code, status, text = fields.get("code"), fields.get("status"), fields.get("text")
    return Refused(
        code if isinstance(code, str) else "internal-error",
        status if isinstance(status, int) else None,
        text if isinstance(text, str) else "",
    )


def refusal(done: Fields) -> Refused | None:
    """Return the error for `done`, the event that ends a command; None after success."""
    error = refused(done)
    return None if error.code in WELL else error


def accepting(offer: str | int, folder: str | os.PathLike[str] | None = None) -> Form:
    """Return the command that accepts an offer; a relative `folder` belongs to this program."""
    where = {} if folder is None else {"folder": str(Path(folder).absolute())}
    return {"do": "accept", "id": offer, **where}


def nothing(outcome: Outcome) -> None:
    """Return no result."""


def sending(to: str) -> Callable[[Outcome], Sending]:
    """Return a reader of the outcome of a message to a peer or a room."""

    def read(outcome: Outcome) -> Sending:
        for event in ("sent", "notice", "delivered"):
            id = outcome.field(event, "id")
            if isinstance(id, int | str):
                return Sending(to, outcome.code == "queued", id)
        return Sending(to, outcome.code == "queued")

    return read
