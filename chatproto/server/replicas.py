"""The servers that share a directory, and the store in which each of them has what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from chatproto.directory.classic_registration import Origin
from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registrations import ClientConnection
from chatproto.directory.registry import Registry

Picture = dict[str, list[Any]]
"""All of it, as values of JSON, by what they are."""


class Shared(Protocol):
    """Shared state in memory."""

    @property
    def registry(self) -> Registry: ...

    @property
    def names(self) -> IdOwners: ...

    def clear(self) -> None:
        """Begin with nothing."""

    def picture(self, named: Callable[[Origin], Any]) -> Picture:
        """All of it."""

    def load(self, picture: Picture, find: Callable[[Any], Origin]) -> None:
        """Be as `picture` tells."""


@dataclass(slots=True)
class ServerReplica:
    """A server: its rules, the number of its last batch, when that came (`Replica.alive`).

    `visitors` and `sources`: its connections that have registered or asked for something, by number.
    """

    rules: str
    number: int
    heard: float
    visitors: dict[int, ClientConnection] = field(default_factory=dict)
    sources: dict[int, Origin] = field(default_factory=dict)
