"""No interface (--ui none): print what concerns the program itself, and read nothing."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.client.events import Event, Failed, Notice, Registered, Running
from chatproto.net.clock import Wall
from chatproto.ui.view import plain_lines


class QuietInterface:
    """Print the addresses of the program, its registration, and failures; no message and no answer.

    `write_line` takes a line without its end and does not block; `seconds` returns the time of day.
    """

    def __init__(self, write_line: Callable[[str], None], seconds: Callable[[], Wall]) -> None:
        self._write_line = write_line
        self._seconds = seconds

    def tell(self, event: Event) -> None:
        """Print `event` if it is about the program itself."""
        match event:
            case Running() | Registered() | Failed() | Notice(to=None):
                for line in plain_lines(event, self._seconds()):
                    self._write_line(line)

    def start(self) -> None:
        """Read nothing."""

    def stop(self) -> None:
        """Do nothing: there is no input to stop."""
