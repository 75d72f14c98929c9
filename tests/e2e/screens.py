"""A program on a pty, such as a client with the full interface, seen through a terminal emulator (pyte).

Nothing sleeps: every wait is for something on the screen, with a generous limit.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyte

from chatproto.ui.screen.reflow import BY_VARIABLE
from tests.e2e.harness import TWISTD
from tests.e2e.program import LIMIT

QUIET = 0.2
"""Seconds without output after which the screen is taken to stand still."""

UNSET = ("LC_ALL", "LC_CTYPE", "NO_COLOR", "COLORTERM", *BY_VARIABLE)
"""Variables of whoever runs the tests that would change the screen."""


def _own_terminal() -> None:
    """In the child: make standard input its controlling terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class ScreenProgram:
    """`command` on a terminal of `columns` by `rows`, in the folder `home`.

    `screen` is what a person sees, `raw` every byte that was written.
    """

    def __init__(
        self,
        home: Path,
        command: Sequence[str],
        columns: int = 80,
        rows: int = 24,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=5000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._ours, self._theirs = pty.openpty()
        self._size(columns, rows)
        self.before = termios.tcgetattr(self._theirs)
        variables = {name: text for name, text in os.environ.items() if name not in UNSET}
        variables |= {"HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC"}
        variables |= environment or {}
        self._process = subprocess.Popen(
            command,
            cwd=home,
            env=variables,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def display(self) -> list[str]:
        """The rows of the screen, without blanks at their ends."""
        return [row.rstrip() for row in self.screen.display]

    @property
    def text(self) -> str:
        """All rows, those that have left the screen at the top too."""
        history: Any = self.screen.history
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in history.top]
        return "\n".join([*(row.rstrip() for row in above), *self.display])

    @property
    def prompt(self) -> str:
        """The row with the cursor."""
        return self.display[self.screen.cursor.y]

    def read(self, wait: float, most: int = 65536) -> bool:
        """Take in `most` bytes that the program writes within `wait` seconds; False: none came."""
        ready, _, _ = select.select([self._ours], [], [], wait)
        if not ready:
            return False
        try:
            data = os.read(self._ours, most)
        except OSError:
            return False
        self.raw += data
        self.see(data)
        return bool(data)

    def see(self, data: bytes) -> None:
        """Show `data` on the emulated screen."""
        self._stream.feed(data)

    def wait_for(self, fact: Callable[[], bool], name: str, timeout: float = LIMIT) -> None:
        """Wait until `fact()` holds of the screen. Raises AssertionError with the screen."""
        deadline = time.monotonic() + timeout
        while not fact():
            left = deadline - time.monotonic()
            ended = self._process.poll() is not None and not self.read(0)
            if ended or left <= 0:
                if fact():
                    return
                raise AssertionError(f"{name} did not come\n{self.picture()}")
            self.read(min(left, 0.5))

    def expect(self, words: str, timeout: float = LIMIT) -> None:
        """Wait until `words` stand in one row, also one that has left the screen."""
        self.wait_for(lambda: words in self.text, repr(words), timeout)

    def settle(self) -> None:
        """Read until nothing is written for `QUIET` seconds."""
        while self.read(QUIET):
            pass

    def type(self, text: str | bytes) -> None:
        """Type text or keys."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self._ours, data[:1024]) :]
            self.read(0)

    def enter(self, line: str) -> None:
        """Type a line and Enter."""
        self.type(f"{line}\r")

    def paste(self, text: str) -> None:
        """Paste as a terminal does that marks pastes."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal."""
        self._size(columns, rows)
        self.screen.resize(rows, columns)
        os.kill(self._process.pid, signal.SIGWINCH)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> list[Any]:
        """Return the settings of the terminal, as `stty -a` shows them."""
        return termios.tcgetattr(self._theirs)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = self._theirs = -1

    def wait(self, timeout: float = LIMIT) -> int:
        """Wait for the end of the program, reading on; return its exit code."""
        deadline = time.monotonic() + timeout
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it has not ended\n{self.picture()}"
            if self._ours >= 0:
                self.read(0.1)
            else:
                time.sleep(0.05)
        while self._ours >= 0 and self.read(0):
            pass
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def picture(self) -> str:
        """The screen, for the message of a failing test."""
        return "\n".join(f"  |{row}" for row in self.text.split("\n"))

    def end(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self.wait()
            except AssertionError:
                self._process.kill()
                self._process.wait()
                raise
        if self._ours >= 0:
            self.hang_up()


class ScreenClient(ScreenProgram):
    """`twistd -n chatclient` on a terminal."""

    def __init__(
        self,
        home: Path,
        *options: str,
        columns: int = 80,
        rows: int = 24,
        launcher: tuple[str, ...] = (*TWISTD, "-n"),
        environment: dict[str, str] | None = None,
    ) -> None:
        command = (*launcher, "chatclient", "--home", str(home), *options)
        super().__init__(home, command, columns, rows, environment)
