"""The plain interface: lines in, lines out."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.node.events import Event, Notice
from chatproto.ui.commands import carry_out
from chatproto.ui.row import Node
from chatproto.ui.view import plain_lines


def dropped(count: int) -> Notice:
    return Notice(f"{count} {'line was' if count == 1 else 'lines were'} not printed")


class Plain:
    """One event a line out, one text or command a line in.

    `write_line` takes a line without its end and does not block.
    """

    def __init__(self, node: Node, write_line: Callable[[str], None]) -> None:
        self._node = node
        self._write_line = write_line

    def tell(self, event: Event) -> None:
        """Shows `event`."""
        for line in plain_lines(event):
            self._write_line(line)

    def dropped_line(self, count: int) -> str:
        """What says that `count` lines found no room on the screen."""
        return plain_lines(dropped(count))[0]

    def on_line(self, line: str) -> None:
        """Does what `line` says, or shows why it cannot be done."""
        shown = carry_out(line, self._node)
        if shown is not None:
            self.tell(shown)

    def on_end(self) -> None:
        """There is no more input."""
        self._node.end_of_input()
