"""Commands that several servers apply in one order, each as a value and as a line of the log.

A server of several does not change the shared state on a request. It writes a command, and applies it
when it reads it back, in the order that the log gave to the commands of all servers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

from chatproto.wire.values import distinct, value_class

MOST_BYTES = 32 * 1024 * 1024
"""Of one batch: 500 commands of the largest kind, written as JSON, take less."""
SURROGATE = re.compile("[\ud800-\udfff]")


@distinct
class ConnectionOpened(NamedTuple):
    """A connection that proved `key` registers; `user`: the account that it has logged in to."""

    number: int
    key: str
    host: str
    port: int
    local: bool
    user: str | None


@distinct
class KeyedRequest(NamedTuple):
    """The connection asks `text`, a BCP/2 message."""

    number: int
    text: str


@distinct
class ConnectionClosed(NamedTuple):
    """The connection has ended."""

    number: int
    reason: str


@distinct
class PlainRequest(NamedTuple):
    """A connection in plain text asks `text`, a classic message."""

    number: int
    host: str
    port: int
    local: bool
    text: str


@distinct
class PlainClosed(NamedTuple):
    """Connection `number` has ended."""

    number: int


@distinct
class LobbyAction(NamedTuple):
    """`name`, in the lobby in bare text, did `what`: came, went (`text`: why) or said `text`."""

    what: str
    name: str
    text: str


@distinct
class Order(NamedTuple):
    """The operator wants `text`, a BCP/2 message about a room."""

    text: str


@distinct
class Expel(NamedTuple):
    """The operator puts `client_id` out (/kick); `free`: and lets another key have it (/free)."""

    client_id: str
    free: bool


@distinct
class Push(NamedTuple):
    """`text`, a BCP/2 message, is for the connection `number` of the server `node`."""

    node: str
    number: int
    text: str


@distinct
class Used(NamedTuple):
    """The connection `number` of the server `node` has done more with its id than register it."""

    node: str
    number: int


@distinct
class Beat(NamedTuple):
    """The server is there, by the rules `rules`."""

    rules: str


@distinct
class End(NamedTuple):
    """The server has ended, and all its connections have."""


Command = (
    ConnectionOpened
    | KeyedRequest
    | ConnectionClosed
    | PlainRequest
    | PlainClosed
    | LobbyAction
    | Order
    | Expel
    | Push
    | Used
    | Beat
    | End
)
KINDS: dict[str, type[Command]] = {
    "come": ConnectionOpened,
    "ask": KeyedRequest,
    "gone": ConnectionClosed,
    "plain": PlainRequest,
    "closed": PlainClosed,
    "lobby": LobbyAction,
    "order": Order,
    "expel": Expel,
    "push": Push,
    "used": Used,
    "beat": Beat,
    "end": End,
}
"""By the name of a command in the shared log."""
NAMES = {kind: name for name, kind in KINDS.items()}


@value_class
class CommandBatch:
    """Commands of one server, `node`, which counts its batches from 1; the first begins with Beat.

    One that is not the next of its server does not count: it was written again after a broken
    connection, and had been read already, or its server has been given up.
    """

    node: str
    number: int
    commands: tuple[Command, ...]


def write(batch: CommandBatch) -> str:
    """`batch` as one line."""
    commands = [[NAMES[type(one)], *one] for one in batch.commands]
    return json.dumps(
        [batch.node, batch.number, commands], ensure_ascii=False, separators=(",", ":")
    )


def read(text: str) -> CommandBatch:
    """Raises ValueError, with a sentence that repeats nothing of `text`, for what is no batch.

    Whoever can write to Redis may have written anything: other types, deep nesting, huge numbers.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"not a batch: more than {MOST_BYTES} bytes")
    try:
        node, number, commands = json.loads(text)
        if not (_is_text(node) and _is_number(number) and commands):
            raise ValueError
        return CommandBatch(node, number, tuple(_command(kind, rest) for kind, *rest in commands))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("not a batch of commands") from None


def _command(kind: str, values: list[object]) -> Command:
    """Raises KeyError, TypeError or ValueError for what is no command."""
    make: Callable[..., Command] = KINDS[kind]
    made = make(*values)
    if not all(check(value) for check, value in zip(FIELDS[kind], values, strict=True)):
        raise ValueError
    return made


def _is_text(value: object) -> bool:
    """Return True for a string that can be sent: JSON can hold half of a surrogate pair."""
    return isinstance(value, str) and (value.isascii() or not SURROGATE.search(value))


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


CHECKS: dict[Any, Callable[[object], bool]] = {
    int: _is_number,
    str: _is_text,
    bool: lambda value: isinstance(value, bool),
    str | None: lambda value: value is None or _is_text(value),
}
"""By the type of a command's field."""
FIELDS = {
    name: tuple(CHECKS[field] for field in get_type_hints(kind).values())
    for name, kind in KINDS.items()
}
"""By the name of a command: the checks of its fields."""
