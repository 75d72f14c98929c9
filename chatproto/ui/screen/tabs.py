"""Conversations and rooms by number, and how many lines of each are unread."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.ui.legible import name
from chatproto.ui.screen.cells import cut, width
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.styles import Fragment, Line, person_style

MOST = 200
"""Conversations that are remembered; the oldest without unread lines goes first."""
_SHORT = (16, 8, 4)
"""Columns of a name, where there is ever less room for the tabs."""


@dataclass(slots=True)
class Tab:
    """A conversation or room.

    `number`: stays as long as the tab does, whatever others come and go. `unread`: lines said there since
    it was last the current one. `begun`: it has been open, or something was said in it; a call that
    reached nobody never was.
    """

    name: str
    number: int
    unread: int = 0
    begun: bool = False


class Tabs:
    """Numbers for Alt-1 to Alt-9, and unread counts.

    A new tab gets the lowest number that is free, and keeps it.
    """

    def __init__(self) -> None:
        self._all: list[Tab] = []  # the oldest first
        self._current = ""

    @property
    def current(self) -> str:
        """The name of whoever gets the next line; empty if nobody does."""
        return self._current

    def names(self) -> list[str]:
        """Return the names in the order of their numbers."""
        return [tab.name for tab in self._ordered()]

    def open(self, name: str) -> Tab:
        """Return the tab of `name`, which has begun."""
        tab = self._tab(name)
        tab.begun = True
        return tab

    def _tab(self, name: str) -> Tab:
        found = self._named(name)
        if found is not None:
            return found
        if len(self._all) >= MOST:
            old = next((tab for tab in self._all if not tab.unread), self._all[0])
            self._all.remove(old)
        used = {tab.number for tab in self._all}
        tab = Tab(name, next(number for number in range(1, MOST + 1) if number not in used))
        self._all.append(tab)
        return tab

    def _named(self, name: str) -> Tab | None:
        return next((tab for tab in self._all if tab.name == name), None)

    def _ordered(self) -> list[Tab]:
        return sorted(self._all, key=lambda tab: tab.number)

    def heard(self, name: str) -> bool:
        """Count a line said in `name`; True if it is unread, as another one is current."""
        tab = self.open(name)
        if name == self._current:
            return False
        tab.unread += 1
        return True

    def rename(self, was: str, name: str) -> None:
        """Call `was` `name` from now on."""
        old = self._named(was)
        if old is None or was == name:
            return
        there = self._named(name)
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
        return next((tab.name for tab in self._all if tab.number == number), "")

    def next_unread(self) -> str:
        """Return the first one behind the current one with unread lines; empty if there is none."""
        all = self._ordered()
        names = [tab.name for tab in all]
        start = names.index(self._current) + 1 if self._current in names else 0
        return next((tab.name for tab in (*all[start:], *all[:start]) if tab.unread), "")

    def line(self, glyphs: Glyphs, columns: int) -> Line:
        """Return the tabs but for the current one in at most `columns`, those with unread lines first.

        Names are cut so that all with unread lines have their place; `+3` stands for those without one.
        """
        others = [tab for tab in self._ordered() if tab.name != self._current]
        others.sort(key=lambda tab: not tab.unread)
        unread = sum(tab.unread > 0 for tab in others)
        for most in _SHORT:
            shown = [_shown(tab, most, glyphs) for tab in others]
            fit = _fitting(shown, columns)
            if fit >= unread:
                break
        found: list[Fragment] = []
        for number, piece in enumerate(shown[:fit]):
            found += [("", " "), piece] if number else [piece]
        if left := len(others) - fit:
            style = "warn" if fit < unread else "dim"
            found.append((style, f"{' ' if fit else ''}+{left}"))
        return tuple(found)


def _shown(tab: Tab, most: int, glyphs: Glyphs) -> Fragment:
    key = f"{tab.number}:" if tab.number <= 9 else ""
    count = f" {tab.unread}" if tab.unread else ""
    style = person_style(tab.name) if tab.unread else "dim"
    return style, f"[{key}{cut(name(tab.name), most, glyphs.more)}{count}]"


def _fitting(shown: list[Fragment], columns: int) -> int:
    """Return how many of `shown` fit, with a blank between two and the number of the rest behind."""
    used = 0
    for number, (_, text) in enumerate(shown):
        used += width(text) + (number > 0)
        left = len(shown) - number - 1
        if used + (len(f" +{left}") if left else 0) > columns:
            return number
    return len(shown)
