"""Answer one command of a client, with its label if it has one (IRCv3 labeled-response)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatproto.ui.irc.lines import FACE, Batch
from chatproto.wire.irc import IrcLine

LABEL = 64
"""Largest size of a label in bytes."""


class Answer:
    """Lines that answer one command. Without a label they are written at once, else when it has ended."""

    def __init__(self, write: Callable[[IrcLine | Batch], None], label: str = "") -> None:
        self.parts = 1
        """Requests that have not ended, and the command itself."""
        self._write = write
        self._label = label if len(label.encode()) <= LABEL else ""
        self._lines: list[IrcLine] = []

    def tell(self, lines: Iterable[IrcLine]) -> None:
        """Add lines."""
        if self._label and self.parts:
            self._lines += lines
        else:
            for line in lines:
                self._write(line)

    def end(self) -> None:
        """End one part; after the last one, write the labelled answer."""
        self.parts -= 1
        if self.parts or not self._label:
            return
        label = {"label": self._label}
        match self._lines:
            case []:
                self._write(IrcLine("ACK", (), label, source=FACE))
            case [line]:
                self._write(
                    IrcLine(line.command, line.parameters, {**line.tags, **label}, line.source)
                )
            case lines:
                self._write(Batch("labeled-response", tuple(lines), label))
        self._lines = []
