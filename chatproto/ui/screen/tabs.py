"""Conversations and rooms by number, and how many lines of each are unread."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.ui.legible import name
from chatproto.ui.screen.cells import cut, width
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.styles import Fragment, Line, person_style

MOST = 200
"""Conversations that are stored; the oldest without unread lines is removed first."""
_SHORT = (16, 8, 4)
"""Columns of a name, in steps for less and less room."""


@dataclass(slots=True)
class Tab:
    """Conversation or room.

    `number`: permanent as long as the tab exists. `unread`: lines received there since it was last the
    current one. `begun`: it was open, or has messages; False for a call that reached no peer.
    """

    name: str
    number: int
    unread: int = 0
    begun: bool = False


class Tabs:
    """Numbers for Alt-1 to Alt-9, and unread counts.

    A new tab gets the lowest free number, and keeps it.
    """

    def __init__(self) -> None:
        self._all: list[Tab] = []  # the oldest first
        self._current = ""

    @property
    def current(self) -> str:
        """Name of the recipient of the next line; empty if there is none."""
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
        """Count a line in `name`; return True if it is unread, because another one is current."""
        tab = self.open(name)
        if name == self._current:
            return False
        tab.unread += 1
        return True

    def rename(self, was: str, name: str) -> None:
        """Rename the tab `was` to `name`."""
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
        """Remove `name`, unless it has unread lines or is the current one.

        `never_open`: a call that was not accepted is removed in any case, if nothing is unread.
        """
        stays = name == self._current and not never_open
        self._all = [tab for tab in self._all if tab.name != name or tab.unread or stays]

    def remove(self, name: str) -> None:
        """Remove `name` with all its unread lines: the user wants it closed."""
        self._all = [tab for tab in self._all if tab.name != name]

    def look_at(self, name: str) -> int:
        """Make `name` the current one; return how many of its lines were unread.

        An empty `name` removes a call that reached no peer.
        """
        before, self._current = self._current, name
        if not name:
            self._all = [tab for tab in self._all if tab.name != before or tab.begun]
            return 0
        tab = self._tab(name)
        unread, tab.unread = tab.unread, 0
        return unread if before != name else 0

    def at(self, number: int) -> str:
        """Return the name with the key Alt-`number`; empty if there is none."""
        return next((tab.name for tab in self._all if tab.number == number), "")

    def next_unread(self) -> str:
        """Return the first one after the current one with unread lines; empty if there is none."""
        all = self._ordered()
        names = [tab.name for tab in all]
        start = names.index(self._current) + 1 if self._current in names else 0
        return next((tab.name for tab in (*all[start:], *all[:start]) if tab.unread), "")

    def line(self, glyphs: Glyphs, columns: int) -> Line:
        """Return the tabs except the current one in at most `columns`, those with unread lines first.

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
    """Return how many of `shown` fit, with a blank between two and the number of the rest after them."""
    used = 0
    for number, (_, text) in enumerate(shown):
        used += width(text) + (number > 0)
        left = len(shown) - number - 1
        if used + (len(f" +{left}") if left else 0) > columns:
            return number
    return len(shown)
