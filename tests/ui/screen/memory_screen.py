"""The full interface of a client in memory, on a pty of this process, seen through pyte.

No program is started. The time is the test's own, except for that of the drawing library, which waits 50 ms
to tell Esc from Alt. Nothing sleeps: every wait is for something on the screen.
"""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import termios
import time
from collections.abc import Callable
from typing import Any

import pyte
from prompt_toolkit.data_structures import Size

from chatproto.net.clock import Wall
from chatproto.stdio.output import Output
from chatproto.ui.screen import terminal as module
from chatproto.ui.screen.attention import Attention
from chatproto.ui.screen.glyphs import UNICODE
from chatproto.ui.screen.history import TypedHistory
from chatproto.ui.screen.interface import FullInterface
from chatproto.ui.screen.keymap import USUAL_KEYS, Keymap
from chatproto.ui.screen.starting import StartingInterface
from chatproto.ui.screen.styles import Styles
from chatproto.ui.screen.terminal import ScreenTerminal
from tests.client.keyed_program import Case

LIMIT = 20.0
"""Seconds until something is taken not to come."""
ROUNDS = 20
"""Turns of the event loop without output after which the screen stands still."""


class ScreenCase(Case):
    """Alice at a terminal of `columns` by `rows`, with `colours`; `history`: the file of typed lines."""

    columns, rows = 80, 24
    keys: Keymap = USUAL_KEYS
    colours = 256
    glyphs = UNICODE
    encoding = "utf-8"

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def begin(self, *given: Any, **settings: Any) -> Any:
        return super().begin(*given, typed=True, **settings)

    def open(self) -> None:
        """Show the screen of the client that has just begun."""
        self.patch(module, "window_size", lambda fd: Size(self.rows, self.columns))
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        ours, theirs = pty.openpty()
        self._ours = ours
        self.stdin = os.fdopen(theirs, "r")
        self.stdout = os.fdopen(os.dup(theirs), "w")
        self.before = termios.tcgetattr(theirs)
        self.addCleanup(self.stdout.close)
        self.addCleanup(self.stdin.close)
        self.addCleanup(os.close, ours)
        self.screen = pyte.HistoryScreen(self.columns, self.rows, history=3000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.output = Output(self.net, self.stdout.fileno())
        self.addCleanup(self.output.close)
        self.history = self.home / "history"
        self.ui = FullInterface(
            self.node.client,
            self.net,
            lambda: Wall(self.net.seconds()),
            lambda: self.columns,
            lambda: self.rows,
            self.glyphs,
            Attention("alice", on=True),
            lambda: self.terminal.changed(),
            lambda full: None,
            keys=self.keys,
        )
        self.terminal = ScreenTerminal(
            self.net,
            self.stdin,
            self.stdout,
            self.output,
            self.first_interface(),
            Styles(self.colours),
            TypedHistory(self.history),
            self.encoding,
            keymap=self.keys,
        )
        self.node.publish.listen(self.ui.tell)
        self.begin_terminal()
        self.addCleanup(self.close)
        self.expect_prompt("to nobody>")

    def first_interface(self) -> FullInterface | StartingInterface:
        """Return what the screen shows at first."""
        return self.ui

    def begin_terminal(self) -> None:
        """Show the prompt."""
        self.terminal.start()

    def close(self) -> None:
        """End the screen, as the end of the program does."""
        self.terminal.stop()
        over: list[object] = []
        self.terminal.flush().addBoth(over.append)
        self.wait_for(lambda: bool(over), "the end of the screen")

    # What a person sees.

    @property
    def display(self) -> list[str]:
        """The rows of the screen, without blanks at their ends."""
        return [row.rstrip() for row in self.screen.display]

    @property
    def text(self) -> str:
        """All rows, those that have left the screen at the top too."""
        past: Any = self.screen.history
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in past.top]
        return "\n".join([*(row.rstrip() for row in above), *self.display])

    @property
    def prompt(self) -> str:
        """The row with the cursor."""
        return self.display[self.screen.cursor.y]

    def style_of(self, words: str) -> str:
        """Return the colour of the first character of `words` on the screen."""
        for y, row in enumerate(self.display):
            if words in row:
                return str(self.screen.buffer[y][row.index(words)].fg)
        raise AssertionError(f"{words!r} is not there\n{self.text}")

    # What a person does.

    def type(self, keys: str) -> None:
        """Press keys, and see what comes of it."""
        os.write(self._ours, keys.encode())
        select.select([self.stdin], [], [], LIMIT)  # a terminal passes them on when it likes
        while select.select([self.stdin], [], [], 0)[0]:
            self._turn()
        self.settle()

    def type_ahead(self, keys: str) -> None:
        """Press keys that the screen is not to read yet."""
        os.write(self._ours, keys.encode())
        self.settle()

    def enter(self, line: str) -> None:
        """Type a line and press Enter after a moment, as a person does."""
        self.type(line)
        self.pass_time(0.2)
        self.type("\r")

    def resize(self, columns: int) -> None:
        """Change the width of the terminal."""
        self.columns = columns
        self.screen.resize(self.rows, columns)
        os.kill(os.getpid(), signal.SIGWINCH)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.net.wait(seconds)
        self.settle()

    def settle(self) -> None:
        """Carry out what there is to do until nothing is drawn."""
        quiet = 0
        while quiet < ROUNDS:
            quiet = 0 if self._turn() else quiet + 1
            if quiet == ROUNDS // 2:
                self.net.wait(module.GATHER)  # what is drawn is gathered so long

    def expect(self, words: str) -> None:
        """Wait until `words` stand in one row, also one that has left the screen."""
        self.wait_for(lambda: words in self.text, repr(words))

    def expect_prompt(self, row: str) -> None:
        """Wait until the row with the cursor is `row`."""
        self.wait_for(lambda: self.prompt == row, f"the prompt {row!r}")

    def wait_for(self, fact: Callable[[], bool], name: str) -> None:
        """Wait until `fact()` holds of the screen. Raises AssertionError with the screen."""
        deadline = time.monotonic() + LIMIT
        while not fact():
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} did not come\n{self.text}")
            if not self._turn():
                self.net.wait(module.GATHER)
                select.select([self._ours], [], [], 0.002)  # the drawing library's own time

    def _turn(self) -> bool:
        """Let the loop and the client go on for a turn; return True if something was written."""
        self.loop.run_until_complete(self._work())
        for writer in self.net.getWriters():
            writer.doWrite()
        if not select.select([self._ours], [], [], 0)[0]:
            return False
        data = os.read(self._ours, 65536)
        self.raw += data
        self._stream.feed(data)
        return True

    async def _work(self) -> None:
        self.net.settle()
        await asyncio.sleep(0)
