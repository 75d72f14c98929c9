"""Connections as a server of several sees them, and the answers to one chunk of plain text."""

from __future__ import annotations

from typing import Any, Protocol

from chatproto.server.batches import Waiter
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import ClassicError, Message
from chatproto.wire.errors import RemoteError

Answers = list[tuple[Message | RemoteError, Message]]


class SharedConnection(Protocol):
    """One of a client with a key."""

    def say(self, message: Bcp2Message) -> None:
        """Send `message`."""

    def go_on(self) -> None:
        """Read on where it was held up."""


class PlainConnection(Protocol):
    """One in plain text."""

    host: str
    port: int
    came: int

    @property
    def local(self) -> bool:
        """True if the peer is on this machine."""

    def answered(self, answers: Answers) -> None:
        """Send the answers to a chunk of what it asked."""

    def close(self) -> None:
        """Close it."""


class Chunk:
    """The answers to a chunk, in their order; sent when all are there."""

    def __init__(self, connection: PlainConnection, messages: list[Any]) -> None:
        self._connection = connection
        self._messages = messages
        self._found: dict[int, Message] = {}

    def put(self, place: int, answer: Message) -> None:
        """The answer to the message in that place."""
        self._found[place] = answer
        if len(self._found) == len(self._messages):
            found = [self._found[number] for number in range(len(self._messages))]
            self._connection.answered(list(zip(self._messages, found, strict=True)))

    def waiter(self, place: int) -> Waiter:
        """Make the receiver of one answer."""
        return Waiter(
            lambda answer: self.put(place, answer or ClassicError(500)),
            lambda: self.put(place, ClassicError(503)),
        )
