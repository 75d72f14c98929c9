"""Stand for the full interface from the first prompt until the client is loaded.

Importing this module must cost little: the prompt waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.status import status_line
from chatproto.ui.screen.styles import Line


class StartingInterface:
    """Show an empty prompt, and take no line: the screen keeps it for the `FullInterface`.

    Args: columns: of the terminal. end: called when the person wants the program to end.
    """

    asks = False
    waits = False

    def __init__(
        self, columns: Callable[[], int], glyphs: Glyphs, end: Callable[[], object]
    ) -> None:
        self._columns = columns
        self._glyphs = glyphs
        self._end = end
        self._interrupts = 0

    # What there is to draw.

    def prompt(self, secret: str = "") -> Line:
        """Return what stands before the typed line."""
        return (("dim", "to nobody> "),)

    def above(self) -> list[Line]:
        """Return the status line."""
        return [status_line([(("", "starting"),)], self._columns(), self._glyphs)]

    def take_rows(self) -> list[Line]:
        """Return no rows: nothing was said yet."""
        return []

    def take_bell(self) -> str | None:
        """Return None: nothing rings."""
        return None

    def next_wait(self) -> float | None:
        """Return None: nothing is printed by itself."""
        return None

    def finish(self) -> None:
        """Hold nothing that would have to be printed."""

    # What the person does.

    def typing(self, text: str) -> None:
        """Leave the line to the full interface, which is told of it."""

    def pasted(self, text: str) -> None:
        """Say nothing about a paste."""

    def key(self) -> None:
        """Ask no question that a key could be meant for."""

    def enter(self, text: str, pasted: bool = False) -> bool:
        """Keep the line in the prompt."""
        return False

    def say_wrong(self, sentence: str) -> None:
        """Leave a mistake of ours to the log."""

    def complete(self, before: str, again: bool) -> str:
        """Return the line as it is: nothing is known that it could become."""
        return before

    def take_back(self) -> bool:
        """Return False: nothing was asked."""
        return False

    def answers(self, empty: bool) -> bool:
        """Return False: nothing was asked."""
        return False

    def answer(self, word: str, typing: bool) -> None:
        """Answer nothing."""

    def switch(self, number: int) -> None:
        """Switch to no conversation."""

    def next_unread(self) -> None:
        """Go to no conversation."""

    def interrupt(self) -> None:
        """Ctrl-C: the line was cleared; a second one ends the program."""
        self._interrupts += 1
        if self._interrupts == 2:
            self._end()

    def on_end(self) -> None:
        """End the program: Ctrl-D on an empty line, or the terminal is gone."""
        self._end()
