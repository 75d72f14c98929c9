"""Make names from peers safe to use below the download folder.

A safe name is one path component. It cannot leave the folder, is not hidden, and leaves room for a
suffix. It has no characters that are special to a shell, a terminal or another system.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

NAME_BYTES = 240
"""Bytes of UTF-8 of a safe name; file systems allow 255, and `.part` is appended."""
SUFFIX_BYTES = 24
"""Bytes of a suffix that is preserved when a long name is cut."""
DEPTH = 32
"""Levels of folders below the download folder; deeper files are put into the last level."""
NAMELESS = "file"
"""Name for a file whose name has no safe characters."""
PART = ".part"
"""Suffix of an unfinished file."""

_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
"""Line ends, terminal control characters, and characters that other systems forbid in names."""
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])", re.IGNORECASE
)
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Invisible characters; format characters are found by their Unicode category."""


def safe_name(text: str) -> str:
    """Return the last component of `text` as a safe name; a safe name is returned unchanged."""
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
    if len(name.encode()) > NAME_BYTES:  # cut, but a short suffix is preserved
        name = _joined(*split_suffix(name), NAME_BYTES)
    return name or NAMELESS


def _joined(stem: str, suffix: str, most: int) -> str:
    room = most - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + suffix


def numbered(name: str, number: int) -> str:
    """Return `name` with a number, as `stem (2).suffix`, of at most `NAME_BYTES`."""
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
    """Fold a name so that names that any file system treats as equal become equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """Return `name`, or the first of `stem (2).suffix`, `stem (3).suffix` and so on that is not `taken`."""
    found, number = name, 1
    while taken(found):
        number += 1
        found = numbered(name, number)
    return found


class _Level:
    """Names in use in one folder.

    `taken`: the folded names. `folders`: sub-folders by the sender's name for them.
    `numbers`: last number that was appended to each name.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.folders: dict[str, tuple[str, _Level]] = {}
        self.numbers: dict[str, int] = {}

    def name(self, text: str) -> str:
        wanted = safe_name(text)
        # Starts at the last number: a thousand equal names would take a million lookups.
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
    """Return each path as a tuple of safe components; no two are equal on any file system.

    Files of one folder stay in one folder. Empty components, `.` and `..` are left out. The same paths in
    the same order give the same result, and safe paths are unchanged.
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
