"""A password that is asked for while the client runs: the next line, and it is not shown."""

from __future__ import annotations

import termios
from collections.abc import Callable


class SecretLine:
    """Stands before `on_line`; `fd` is the terminal, whose echo is off while it waits.

    `got` gets the line, unless it is empty.
    """

    def __init__(self, fd: int, on_line: Callable[[str], None], got: Callable[[str], None]) -> None:
        self._fd = fd
        self._on_line = on_line
        self._got = got
        self._waits = False
        self._before: list[object] | None = None

    def ask(self) -> None:
        """Take the next line for the secret."""
        self._waits = True
        if self._before is None:
            try:
                settings = termios.tcgetattr(self._fd)
                self._before = termios.tcgetattr(self._fd)
                settings[3] &= ~termios.ECHO
                termios.tcsetattr(self._fd, termios.TCSAFLUSH, settings)
            except termios.error:
                self._before = None  # none of ours; it is asked for all the same

    def on_line(self, line: str) -> None:
        """Take a typed line: the secret if it is awaited, else a command or text."""
        if not self._waits:
            self._on_line(line)
            return
        self.stop()
        if line:
            self._got(line)

    def stop(self) -> None:
        """Wait for it no more; what is typed is shown again."""
        self._waits = False
        before, self._before = self._before, None
        if before is not None:
            try:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)  # type: ignore[arg-type]
            except termios.error:
                pass  # it is gone
