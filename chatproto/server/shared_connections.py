"""Connections as the directory of a server of several sees them."""

from __future__ import annotations

from typing import Protocol

from chatproto.directory.classic_registration import Origin
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Message
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

    came: int

    @property
    def source(self) -> Origin:
        """Origin of its requests."""

    def answered(self, answers: Answers) -> None:
        """Send the answers to a chunk of what it asked."""
