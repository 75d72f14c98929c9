"""Make names from peers safe to use below the download folder.

A safe name is one component: it leads nowhere, hides nothing, means nothing to a shell, a terminal or
another system, and leaves room for a suffix of ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

NAME_BYTES = 240
"""A safe name has at most so many bytes of UTF-8; file systems allow 255, and `.part` follows."""
SUFFIX_BYTES = 24
"""Bytes after the last dot that are kept whole when a name is cut."""
DEPTH = 32
"""A file lies at most so many folders deep; what would lie deeper lies in the last of them."""
NAMELESS = "file"
"""The name of what has none left."""
PART = ".part"
"""Follows the name of what is not whole yet."""

_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
"""Characters that end a line, that a terminal obeys, or that no name on another system may have."""
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])", re.IGNORECASE
)
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Characters that show nothing; format characters are found by their Unicode category."""


def safe_name(text: str) -> str:
    """The last component of `text` as a safe name; safe already, it stays as it is."""
    name = _SEPARATORS.split(text.rstrip("/\\"))[-1]
    while (once := _cleaned(name)) != name:
        name = once
    return name


def _cleaned(name: str) -> str:
    """Apply one pass of cleaning; passes are repeated until nothing changes."""
    name = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", name))
    name = "".join(
        " " if unicodedata.category(letter) == "Zs" else letter
        for letter in _UNSEEN.sub("", name)
        if unicodedata.category(letter) != "Cf"
    )
    name = name.lstrip(".- ").rstrip(". ")
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")):
        name = f"_{name}"
    if len(name.encode()) > NAME_BYTES:  # cut, with its ending kept where that is short
        name = _joined(*split_suffix(name), NAME_BYTES)
    return name or NAMELESS


def _joined(stem: str, suffix: str, most: int) -> str:
    room = most - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + suffix


def numbered(name: str, number: int) -> str:
    """A safe name like `name` with a number: `stem (2).ending`, no longer than a name may be."""
    stem, suffix = split_suffix(name)
    return _joined(stem, f" ({number}){suffix}", NAME_BYTES)


def split_suffix(name: str) -> tuple[str, str]:
    """Split a name into stem and suffix with its dot; `a.tar.gz` has the suffix `.tar.gz`.

    A suffix longer than `SUFFIX_BYTES` counts as part of the stem.
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > SUFFIX_BYTES:
        return name, ""
    if stem.lower().endswith(".tar") and len(stem) > 4:
        return stem[:-4], f"{stem[-4:]}{dot}{suffix}"
    return stem, f"{dot}{suffix}"


def folded(name: str) -> str:
    """Fold a name so that names which some file system takes for the same become equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """`name`, or the first of `stem (2).ending`, `stem (3).ending` and so on that is not `taken`."""
    found, number = name, 1
    while taken(found):
        number += 1
        found = numbered(name, number)
    return found


class _Level:
    """Names in use in one folder.

    `taken`: the names, folded. `folders`: sub-folders by the name that the sender gives them.
    `numbers`: the last number that was added to a name, by name.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.folders: dict[str, tuple[str, _Level]] = {}
        self.numbers: dict[str, int] = {}

    def name(self, text: str) -> str:
        wanted = safe_name(text)
        # So that a thousand files of one name do not take a million looks.
        number = self.numbers.get(folded(wanted), 1)
        found = wanted if number == 1 else numbered(wanted, number)
        while folded(found) in self.taken:
            number += 1
            found = numbered(wanted, number)
        self.numbers[folded(wanted)] = number
        self.taken.add(folded(found))
        return found

    def folder(self, text: str) -> tuple[str, _Level]:
        if text not in self.folders:
            self.folders[text] = self.name(text), _Level()
        return self.folders[text]


def safe_paths(paths: Iterable[str]) -> list[tuple[str, ...]]:
    """Paths below a folder, each as its safe components, no two the same on any system.

    What came in one folder stays in one folder. Empty components, `.` and `..` lead nowhere and are
    left out. The same paths in the same order give the same result, and safe ones stay as they are.
    """
    top = _Level()
    safe = []
    for path in paths:
        *folders, name = [part for part in _SEPARATORS.split(path) if part.strip(". ")] or [""]
        level, found = top, []
        for folder in folders[:DEPTH]:
            local, level = level.folder(folder)
            found.append(local)
        safe.append((*found, level.name(name)))
    return safe
