"""Own lines between Enter and the scrollback, until their delivery mark is known.

The scrollback is never redrawn, so a line stays above the prompt until the peer has it, it is queued,
or `MARK_WAIT` has passed. Later news of it are separate lines.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from chatproto.client.events import Delivered, Sent, Undelivered
from chatproto.net.clock import Monotonic, Wall

MARK_WAIT = 0.5
"""Seconds for which a line stays above the prompt for its mark."""
MOST = 2000
"""Lines whose delivery is followed after they were printed; older ones are removed."""


@dataclass(slots=True, eq=False)
class OwnLine:
    """Text that the user sent, in the conversation or room `where`.

    `mark`: empty, `delivered`, `waits`, `held` or `failed`. `sent`: a connection has accepted it.
    """

    where: str
    text: str
    at: Wall
    since: Monotonic
    id: str | int | None = None
    mark: str = ""
    sent: bool = False
    printed: bool = False


class OwnLines:
    """Follow own lines until their outcome is known."""

    def __init__(self) -> None:
        self._held: list[OwnLine] = []
        self._followed: deque[OwnLine] = deque(maxlen=MOST)
        self._late: list[OwnLine] = []

    @property
    def held(self) -> list[OwnLine]:
        """Lines that are not in the scrollback yet, the oldest first."""
        return list(self._held)

    def typed(self, where: str, text: str, at: Wall, now: Monotonic) -> OwnLine:
        """Add a line that the user has just sent; `now` is monotonic."""
        line = OwnLine(where, text, at, now)
        self._held.append(line)
        self._followed.append(line)
        return line

    def refuse(self, line: OwnLine) -> None:
        """Remove `line`: it was not accepted, and stays in the prompt."""
        if line in self._held:
            self._held.remove(line)
        if line in self._followed:
            self._followed.remove(line)

    def sent(self, event: Sent, at: Wall, now: Monotonic) -> None:
        """Note that a message was sent; one of another front end is added."""
        where = event.room or event.to or ""
        fits = (
            one
            for one in self._followed
            if not one.sent and one.where == where and one.text == event.text
        )
        line = next(fits, None) or self.typed(where, event.text, event.said or at, now)
        waited = line.mark in ("held", "waits")
        line.sent = True
        line.id = event.id
        if line.mark != "failed":
            # The server of a room has numbered it; plain text is never acknowledged.
            line.mark = "delivered" if event.room else ""
        if event.id is None or event.room:
            self._settle(line)
        if line.printed and (event.room or (waited and event.id is None)):
            self._late.append(line)

    def queued(self, line: OwnLine | None, to: str, id: int | None, mark: str = "waits") -> bool:
        """Note that a message is queued: number `id`, if it has one. Return False if it was printed.

        Args: line: the one that is being sent. mark: `held` if it is queued until our turn.
        """
        found = line or (self._of(to, id) if id is not None else None)
        if found is None:
            return False
        found.id = id
        found.mark = mark
        return not found.printed

    def delivered(self, event: Delivered) -> None:
        """Note that the peer has stored a message."""
        line = self._of(event.to, event.id)
        if line is None:
            return
        line.mark = "delivered"
        self._settle(line)
        if line.printed:
            self._late.append(line)

    def failed(self, event: Undelivered) -> None:
        """Note that a message will not be delivered; its line is no longer followed."""
        line = self._of(event.to, event.id) if event.id is not None else None
        if line is None:
            fits = (
                one
                for one in self._followed
                if one.where == event.to and one.text == event.text and not one.sent
            )
            line = next(fits, None)
        if line is not None:
            line.mark = "failed"
            self._settle(line)

    def ready(self, now: Monotonic, where: str | None = None) -> list[OwnLine]:
        """Remove and return the lines that are ready for the scrollback.

        A line is ready once its mark is known or its wait has passed, with all lines before it.
        `where`: another member has sent a message there, and all own lines of it precede that.
        """
        last = 0
        for number, line in enumerate(self._held, 1):
            over = bool(line.mark) or now >= line.since + MARK_WAIT
            if over or line.where == where or (line.sent and line.id is None):
                last = number
        taken, self._held = self._held[:last], self._held[last:]
        for line in taken:
            line.printed = True
        return taken

    def all(self) -> list[OwnLine]:
        """Remove and return all held lines."""
        taken, self._held = self._held, []
        for line in taken:
            line.printed = True
        return taken

    def late(self) -> list[OwnLine]:
        """Remove and return the lines that were delivered, or sent in plain text, after they had been
        printed.
        """
        taken, self._late = self._late, []
        return taken

    def next_wait(self, now: Monotonic) -> float | None:
        """Return the seconds until a held line must be printed; None: there is none."""
        if not self._held:
            return None
        return max(0.0, self._held[0].since + MARK_WAIT - now)

    def rename(self, was: str, name: str) -> None:
        """Follow the lines of a conversation that has another name now."""
        for line in self._followed:
            if line.where == was:
                line.where = name

    def _of(self, to: str, id: str | int) -> OwnLine | None:
        return next((one for one in self._followed if one.where == to and one.id == id), None)

    def _settle(self, line: OwnLine) -> None:
        if line in self._followed:
            self._followed.remove(line)
