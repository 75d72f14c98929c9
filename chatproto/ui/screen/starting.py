"""Stand in for the full interface from the first prompt until the client is loaded.

Importing this module must be quick: the prompt waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.status import status_line
from chatproto.ui.screen.styles import Line


class StartingInterface:
    """Show an empty prompt, and accept no line: the screen keeps it for the `FullInterface`.

    Args: columns: of the terminal. end: called when the user wants to end the program.
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

    # Output to draw.

    def prompt(self, secret: str = "") -> Line:
        """Return the text before the typed line."""
        return (("dim", "to nobody> "),)

    def above(self) -> list[Line]:
        """Return the status line."""
        return [status_line([(("", "starting"),)], self._columns(), self._glyphs)]

    def take_rows(self) -> list[Line]:
        """Return no rows."""
        return []

    def take_bell(self) -> str | None:
        """Return None: there is no notification."""
        return None

    def next_wait(self) -> float | None:
        """Return None: nothing is printed by itself."""
        return None

    def finish(self) -> None:
        """Do nothing: no line is held."""

    # Actions of the user.

    def typing(self, text: str) -> None:
        """Do nothing: the full interface gets the line later."""

    def pasted(self, text: str) -> None:
        """Ignore a paste."""

    def key(self) -> None:
        """Ignore a key: there is no question."""

    def enter(self, text: str, pasted: bool = False) -> bool:
        """Keep the line in the prompt."""
        return False

    def say_wrong(self, sentence: str) -> None:
        """Do nothing: defects are in the log."""

    def complete(self, before: str, again: bool) -> str:
        """Return the line unchanged: there are no completions."""
        return before

    def take_back(self) -> bool:
        """Return False: there is no question."""
        return False

    def answers(self, empty: bool) -> bool:
        """Return False: there is no question."""
        return False

    def answer(self, word: str, typing: bool) -> None:
        """Do nothing: there is no question."""

    def switch(self, number: int) -> None:
        """Do nothing: there is no conversation."""

    def next_unread(self) -> None:
        """Do nothing: there is no conversation."""

    def interrupt(self) -> None:
        """Handle Ctrl-C, which has cleared the line; a second one ends the program."""
        self._interrupts += 1
        if self._interrupts == 2:
            self._end()

    def on_end(self) -> None:
        """End the program: Ctrl-D on an empty line, or the terminal was lost."""
        self._end()
