"""The plain interface: lines in, lines out."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.net.clock import Wall
from chatproto.node.events import Event, Notice
from chatproto.ui.commands import Say, carry_out, parse
from chatproto.ui.paste import Paste
from chatproto.ui.row import Node
from chatproto.ui.view import plain_lines


def dropped(count: int) -> Notice:
    return Notice(f"{count} {'line was' if count == 1 else 'lines were'} not printed")


class Plain:
    """One event a line out, one text or command a line in.

    `write_line` takes a line without its end and does not block. `seconds` is the time of day in
    seconds since 1970; `times`: every line begins with it. With `paste`, for a terminal, what is
    pasted for a room is one message.
    """

    def __init__(
        self,
        node: Node,
        write_line: Callable[[str], None],
        seconds: Callable[[], Wall],
        paste: Paste | None = None,
        times: bool = False,
    ) -> None:
        self._node = node
        self._write_line = write_line
        self._seconds = seconds
        self._paste = paste
        self._times = times

    def tell(self, event: Event) -> None:
        """Shows `event`."""
        for line in plain_lines(event, self._seconds(), self._times):
            self._write_line(line)

    def dropped_line(self, count: int) -> str:
        """What says that `count` lines found no room on the screen."""
        return plain_lines(dropped(count), self._seconds(), self._times)[0]

    def on_line(self, line: str) -> None:
        """Does what `line` says, or shows why it cannot be done."""
        if self._paste is not None and self._is_pasted(line, self._paste):
            return
        shown = carry_out(line, self._node)
        if shown is not None:
            self.tell(shown)

    def on_end(self) -> None:
        """There is no more input."""
        if self._paste is not None:
            self._paste.end()
        self._node.end_of_input()

    def _is_pasted(self, line: str, paste: Paste) -> bool:
        """Whether `line` may begin a paste, or is another line of one: then nothing in it is a command."""
        if paste.begun:
            paste.add(line)
            return True
        if not self._node.rooms.current or (line.startswith("/") and not line.startswith("//")):
            return False
        said = parse(line)
        if isinstance(said, Say):
            paste.add(said.text)
        return True
