"""The plain interface: lines in, lines out."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.node.events import Event
from chatproto.ui.commands import Node, carry_out
from chatproto.ui.view import plain_lines


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

    def on_line(self, line: str) -> None:
        """Does what `line` says, or shows why it cannot be done."""
        shown = carry_out(line, self._node)
        if shown is not None:
            self.tell(shown)

    def on_end(self) -> None:
        """There is no more input."""
        self._node.end_of_input()
