"""Conversations and rooms in the order in which they began, and how many lines of each are unread."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.ui.legible import name
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.styles import Line, person_style

MOST = 200
"""Conversations that are remembered; the oldest without unread lines goes first."""


@dataclass(slots=True)
class Tab:
    """A conversation or room.

    `unread`: lines said there since it was last the current one. `begun`: it has been open, or something
    was said in it; a call that reached nobody never was.
    """

    name: str
    unread: int = 0
    begun: bool = False


class Tabs:
    """Numbers for Alt-1 to Alt-9, and unread counts."""

    def __init__(self) -> None:
        self._all: list[Tab] = []
        self._current = ""

    @property
    def current(self) -> str:
        """The name of whoever gets the next line; empty if nobody does."""
        return self._current

    def names(self) -> list[str]:
        """Return the names in order: Alt-1 is the first one."""
        return [tab.name for tab in self._all]

    def unread(self, name: str) -> int:
        """Return how many lines of `name` are unread."""
        return next((tab.unread for tab in self._all if tab.name == name), 0)

    def open(self, name: str) -> Tab:
        """Return the tab of `name`, which has begun; a new one stands behind the others."""
        tab = self._tab(name)
        tab.begun = True
        return tab

    def _tab(self, name: str) -> Tab:
        for tab in self._all:
            if tab.name == name:
                return tab
        if len(self._all) >= MOST:
            old = next((tab for tab in self._all if not tab.unread), self._all[0])
            self._all.remove(old)
        tab = Tab(name)
        self._all.append(tab)
        return tab

    def heard(self, name: str) -> bool:
        """Count a line said in `name`; True if it is unread, as another one is current."""
        tab = self.open(name)
        if name == self._current:
            return False
        tab.unread += 1
        return True

    def rename(self, was: str, name: str) -> None:
        """Call `was` `name` from now on."""
        old = next((tab for tab in self._all if tab.name == was), None)
        if old is None or was == name:
            return
        there = next((tab for tab in self._all if tab.name == name), None)
        if there is None:
            old.name = name
        else:
            there.unread += old.unread
            self._all.remove(old)
        if self._current == was:
            self._current = name

    def close(self, name: str, never_open: bool = False) -> None:
        """Forget `name`, unless it has unread lines or is the current one.

        `never_open`: a call that was not taken up is forgotten all the same, if nothing is unread.
        """
        stays = name == self._current and not never_open
        self._all = [tab for tab in self._all if tab.name != name or tab.unread or stays]

    def remove(self, name: str) -> None:
        """Forget `name` with all its unread lines: the person wants it closed."""
        self._all = [tab for tab in self._all if tab.name != name]

    def look_at(self, name: str) -> int:
        """Make `name` the current one; return how many of its lines were unread.

        With nobody as the current one, a call that reached nobody is forgotten.
        """
        before, self._current = self._current, name
        if not name:
            self._all = [tab for tab in self._all if tab.name != before or tab.begun]
            return 0
        tab = self._tab(name)
        unread, tab.unread = tab.unread, 0
        return unread if before != name else 0

    def at(self, number: int) -> str:
        """Return the name behind Alt-`number`; empty if there is none."""
        return self._all[number - 1].name if 0 < number <= len(self._all) else ""

    def next_unread(self) -> str:
        """Return the first one behind the current one with unread lines; empty if there is none."""
        names = self.names()
        start = names.index(self._current) + 1 if self._current in names else 0
        for tab in (*self._all[start:], *self._all[:start]):
            if tab.unread:
                return tab.name
        return ""

    def line(self, glyphs: Glyphs) -> Line:
        """Return the tabs but for the current one, those with unread lines first."""
        numbered = [(number, tab) for number, tab in enumerate(self._all, 1)]
        others = [(number, tab) for number, tab in numbered if tab.name != self._current]
        others.sort(key=lambda one: not one[1].unread)
        found: list[tuple[str, str]] = []
        for number, tab in others:
            key = f"{number}:" if number <= 9 else ""
            count = f" {tab.unread}" if tab.unread else ""
            style = person_style(tab.name) if tab.unread else "dim"
            found.append((style, f"[{key}{name(tab.name)}{count}]"))
            found.append(("", " "))
        return tuple(found[:-1])
