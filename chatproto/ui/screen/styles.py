"""Colours of the full interface: by peer, readable on dark and on light, or none at all.

A style is a name such as `dim` or `person.3`. It becomes an escape sequence for the scrollback, and a
style string for the prompt. A style alone never carries meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from zlib import crc32

from chatproto.stdio.printable import printable

Fragment = tuple[str, str]
"""A style's name and a text."""
Line = tuple[Fragment, ...]
"""One row of the terminal."""

PEOPLE = (
    (31, "#0087af"),
    (28, "#008700"),
    (133, "#af5faf"),
    (130, "#af5f00"),
    (62, "#5f5fd7"),
    (64, "#5f8700"),
    (161, "#d7005f"),
    (30, "#008787"),
    (97, "#875faf"),
    (136, "#af8700"),
    (33, "#0087ff"),
    (167, "#d75f5f"),
)
"""Colours of peers and rooms: number in the palette of 256, and the same as red, green, blue.

Each has a contrast of at least 3 to 1 against white and against black.
"""

_BASIC = ("36", "32", "35", "31")
"""SGR codes of the palette of 8 that are readable on dark and on light: no yellow, no blue."""

_ROLES: dict[str, tuple[str, str, str]] = {
    "": ("", "", ""),
    "dim": ("38;5;244", "", "#808080"),
    "bold": ("1", "1", "bold"),
    "good": ("38;5;28", "32", "#008700"),
    "warn": ("1;38;5;166", "1;31", "bold #d75f00"),
    "bad": ("1;38;5;160", "1;31", "bold #d70000"),
    "you": ("1", "1", "bold"),
}
"""By name: SGR codes with 256 colours, with 8, and the style of the prompt."""

CHOSEN = ("people", "dim", "good", "warn", "bad", "you")
"""Styles whose colours can be chosen."""
_NAMED = tuple(
    f"ansi{name}"
    for name in (
        *("black", "red", "green", "yellow", "blue", "magenta", "cyan", "gray"),
        *("brightblack", "brightred", "brightgreen", "brightyellow", "brightblue"),
        *("brightmagenta", "brightcyan", "white"),
    )
)
"""The first 16 colours of the palette, which each terminal defines itself."""


def person_style(name: str) -> str:
    """Return the style of a peer or room: always the same for the same `name`."""
    return f"person.{crc32(name.lower().encode()) % len(PEOPLE)}"


def colours_wanted(choice: str, environ: Mapping[str, str], described: Callable[[], int]) -> int:
    """Return how many colours to use: 0, 8 or 256.

    Args: choice: `auto`, `always` or `never` (--color). environ: NO_COLOR, set and not empty, means
    none (no-color.org). described: returns the number in the terminal's description, which is read only
    if the environment does not decide.
    """
    if choice == "never":
        return 0
    if choice == "auto" and (environ.get("NO_COLOR") or environ.get("TERM", "") in ("", "dumb")):
        return 0
    if environ.get("COLORTERM") or "256color" in environ.get("TERM", ""):
        return 256
    colours = described()
    if colours >= 256:
        return 256
    return 8 if colours >= 8 or choice == "always" else 0


def colours_of(fd: int) -> int:
    """Return how many colours the terminal `fd` has by its description; 0 if it has none."""
    import curses  # only here: it reads the terminal's description

    try:
        curses.setupterm(fd=fd)
        return max(0, curses.tigetnum("colors"))
    except (curses.error, OSError):
        return 0


def read_colours(chosen: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Return the colours of the table [colors] in client.toml, by the name of a style.

    Each is a number of the palette of 256. `people` has a list of them, for peers and rooms. Raises
    ValueError with one sentence.
    """
    found = {}
    for name, value in chosen.items():
        if name not in CHOSEN:
            raise ValueError(
                f"no colour can be chosen for {name[:20]!r}, only for {', '.join(CHOSEN)}"
            )
        several = value if isinstance(value, list) and name == "people" else [value]
        numbers = tuple(one for one in several if isinstance(one, int) and 0 <= one < 256)
        if not 0 < len(several) <= len(PEOPLE) or len(numbers) != len(several):
            wants = f"1 to {len(PEOPLE)} numbers" if name == "people" else "a number"
            raise ValueError(f"{name} takes {wants} from 0 to 255")
        found[name] = numbers
    return found


def _rgb(index: int) -> str:
    """Return the colour `index` of the palette of 256 in the form of the prompt's styles."""
    if index < 16:
        return _NAMED[index]
    if index >= 232:
        return "#" + f"{8 + 10 * (index - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    return "#" + "".join(f"{steps[(index - 16) // by % 6]:02x}" for by in (36, 6, 1))


class Styles:
    """Turn style names into escape sequences.

    Args: colours: 0, 8 or 256. chosen: colours that replace the defaults, as `read_colours` returns
    them; used with 256 colours.
    """

    def __init__(
        self, colours: int, chosen: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    ) -> None:
        self.colours = colours
        self._codes: dict[str, str] = {}
        self._chosen = dict(chosen) if colours == 256 else {}
        if not colours:
            return
        for name, (many, few, _) in _ROLES.items():
            self._codes[name] = many if colours == 256 else few
        for number, (index, _) in enumerate(PEOPLE):
            basic = _BASIC[number % len(_BASIC)]
            self._codes[f"person.{number}"] = f"38;5;{index}" if colours == 256 else basic
        self._codes |= {name: f"38;5;{index}" for name, index in self._single()}

    def escaped(self, line: Line) -> str:
        """Return `line` for the terminal; control characters in its texts are removed."""
        parts = []
        for style, text in line:
            code, text = self._codes.get(style, ""), printable(text)
            parts.append(f"\x1b[{code}m{text}\x1b[0m" if code else text)
        return "".join(parts)

    def prompt_styles(self) -> dict[str, str]:
        """Return the styles of the prompt and the status line by class name."""
        styles = {name: style for name, (_, _, style) in _ROLES.items() if name}
        styles |= {f"person.{number}": rgb for number, (_, rgb) in enumerate(PEOPLE)}
        styles |= {name: _rgb(index) for name, index in self._single()}
        return styles if self.colours else dict.fromkeys(styles, "")

    def _single(self) -> list[tuple[str, int]]:
        """Return each style whose colour was chosen, with that colour."""
        people = self._chosen.get("people", ())
        single = [(name, numbers[0]) for name, numbers in self._chosen.items() if name != "people"]
        return single + [
            (f"person.{number}", people[number % len(people)])
            for number in range(len(PEOPLE) if people else 0)
        ]
