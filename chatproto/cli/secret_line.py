"""Read a password while the client runs: the next line, without echo."""

from __future__ import annotations

import termios
from collections.abc import Callable


class SecretLine:
    """Filter in front of `on_line`; `fd` is the terminal, whose echo is off while a secret is awaited.

    `got` is called with the line, unless it is empty.
    """

    def __init__(self, fd: int, on_line: Callable[[str], None], got: Callable[[str], None]) -> None:
        self._fd = fd
        self._on_line = on_line
        self._got = got
        self._waits = False
        self._before: list[object] | None = None

    def ask(self) -> None:
        """Read the next line as the secret."""
        self._waits = True
        if self._before is None:
            try:
                settings = termios.tcgetattr(self._fd)
                self._before = termios.tcgetattr(self._fd)
                settings[3] &= ~termios.ECHO
                termios.tcsetattr(self._fd, termios.TCSAFLUSH, settings)
            except termios.error:
                self._before = None  # not a terminal; the secret is requested nevertheless

    def on_line(self, line: str) -> None:
        """Process a typed line: the secret if it is awaited, else a command or text."""
        if not self._waits:
            self._on_line(line)
            return
        self.stop()
        if line:
            self._got(line)

    def stop(self) -> None:
        """Stop waiting; switch the echo on again."""
        self._waits = False
        before, self._before = self._before, None
        if before is not None:
            try:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)  # type: ignore[arg-type]
            except termios.error:
                pass  # the terminal is gone
