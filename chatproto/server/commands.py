"""What several servers do in one order: each command is a value, and some of them a line of text.

A server of several does not change what they share when it is asked to, but when it reads back what it
was asked, in the place that the log gave it among all that the others were asked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple


class Come(NamedTuple):
    """A connection that proved `key` registers; `user`: the account that it has logged in to."""

    number: int
    key: str
    host: str
    port: int
    local: bool
    user: str | None


class Ask(NamedTuple):
    """The connection asks `text`, a BCP/2 message."""

    number: int
    text: str


class Gone(NamedTuple):
    """The connection has ended."""

    number: int
    reason: str


class Plain(NamedTuple):
    """A connection in plain text asks `text`, a classic message."""

    number: int
    host: str
    port: int
    local: bool
    text: str


class Closed(NamedTuple):
    """That connection has ended."""

    number: int


class Lobby(NamedTuple):
    """`name`, in the lobby in bare text, did `what`: came, went (`text`: why) or said `text`."""

    what: str
    name: str
    text: str


class Order(NamedTuple):
    """The operator wants `text`, a BCP/2 message about a room."""

    text: str


class Expel(NamedTuple):
    """The operator puts `client_id` out (/kick); `free`: and lets another key have it (/free)."""

    client_id: str
    free: bool


class Push(NamedTuple):
    """`text`, a BCP/2 message, is for the connection `number` of the server `node`."""

    node: str
    number: int
    text: str


class Beat(NamedTuple):
    """The server is there, by the rules `rules`."""

    rules: str


class End(NamedTuple):
    """The server has ended, and all its connections have."""


Command = Come | Ask | Gone | Plain | Closed | Lobby | Order | Expel | Push | Beat | End
KINDS: dict[str, type[Command]] = {
    kind.__name__.lower(): kind
    for kind in (Come, Ask, Gone, Plain, Closed, Lobby, Order, Expel, Push, Beat, End)
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands of one server, `node`, which counts its batches from 1; the first begins with Beat.

    One that is not the next of its server does not count: it was written again after a broken
    connection, and had been read already, or its server has been given up.
    """

    node: str
    number: int
    commands: tuple[Command, ...]


def write(batch: Batch) -> str:
    """`batch` as one line."""
    commands = [[type(one).__name__.lower(), *one] for one in batch.commands]
    return json.dumps(
        [batch.node, batch.number, commands], ensure_ascii=False, separators=(",", ":")
    )


def read(text: str) -> Batch:
    """Raises ValueError for what is no batch."""
    try:
        node, number, commands = json.loads(text)
        if not (isinstance(node, str) and isinstance(number, int) and commands):
            raise ValueError("not a batch: no server, number or command")
        return Batch(node, number, tuple(KINDS[kind](*rest) for kind, *rest in commands))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a batch: {error}") from None
