"""Describe one command: its syntax, help, parser and the part of the client that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from chatproto.client.app import Client
from chatproto.client.events import Event
from chatproto.ui.arguments import ReadText
from chatproto.ui.values import Arrange, Field, in_order
from chatproto.wire.values import value_class


@value_class
class CommandRow:
    """Command: its syntax, help, parser and the part of the client that carries it out.

    `read` parses the text after the name and one blank (raises Misused). `run` calls a part of the
    client with the arguments; `answer` returns an event from them if no client is needed. `more`:
    longer text for /help NAME. For Tab: `words` that may be an argument, `options` with their values,
    the prefix of an id or a room (`ids`, `rooms`; None: takes none), `registered` if only an id at a
    server is allowed, and whether paths (`files`) or a `text` may follow. `fields`: values of its JSON
    form; `arrange` turns them into the same arguments that `read` returns for a line. `target`: index
    of the argument that names a conversation or room, of a command that acts on the current one if that
    argument is empty or missing; None for other commands.
    """

    name: str
    usage: str
    help: str
    read: Callable[[str, ReadText], tuple[str, ...]]
    run: Callable[[Client, tuple[str, ...]], object] | None
    more: str = ""
    words: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ids: str | None = None
    registered: bool = False
    rooms: str | None = None
    files: bool = False
    text: bool = False
    fields: tuple[Field, ...] = ()
    arrange: Arrange = in_order
    answer: Callable[[tuple[str, ...]], Event] | None = None
    target: int | None = None

    def acts_on_target(self, arguments: tuple[str, ...]) -> bool:
        """Return True if the command, given `arguments`, acts on the current conversation or room."""
        index = self.target
        return index is not None and (index >= len(arguments) or not arguments[index])
