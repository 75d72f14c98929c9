"""Complete commands, names, options and paths when Tab is pressed.

Pure except for `folder_entries`, which reads a folder. Names and paths that cannot be shown unchanged
(control characters, invisible ones, bytes that are not UTF-8) are left out: the user could not see the
completion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from chatproto.client.familiar_names import FamiliarNames
from chatproto.net.paths import local_path
from chatproto.stdio.printable import printable
from chatproto.ui.commands import ROWS
from chatproto.ui.row import CommandRow
from chatproto.ui.topics import TOPICS
from chatproto.wire.fields import ID
from chatproto.wire.values import value_class

MOST = 100
"""Largest number of completions offered at once."""
MOST_ENTRIES = 10_000
"""Largest number of entries of a folder that are examined."""

NONE = FamiliarNames()
Entries = Callable[[str], Iterable[tuple[str, bool]]]
"""Function that returns the names in a folder (empty: the current one), each with True for a folder."""

_LAST_WORD = re.compile(r"\S*\Z")
_ESCAPED = {
    "": re.compile(r"[^\w@%+=:,./~-]"),
    '"': re.compile(r'["\\]'),
    "'": re.compile(r"(?!)"),
}
"""By quote, the characters that need a backslash before them."""


@value_class
class Completion:
    """`line`: the completed line. `shown`: the completed part alone, for a list of choices."""

    line: str
    shown: str


def folder_entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Return the entries of `folder`, where `~` is the home; none if it cannot be read."""
    try:
        with os.scandir(local_path(folder) if folder else ".") as found:
            for entry in islice(found, MOST_ENTRIES):
                yield entry.name, entry.is_dir()
    except (OSError, ValueError):
        return


def completions(
    text: str, names: FamiliarNames = NONE, entries: Entries = folder_entries
) -> list[Completion]:
    """Return the lines to which `text`, which ends at the cursor, can be completed, best first.

    At most `MOST`. A command is completed by its name, an argument by what its row allows, and a word
    of a text by members of the room.
    """
    found = _legible(_found(text, names, entries))
    return list(islice(found, MOST))


def _found(text: str, names: FamiliarNames, entries: Entries) -> Iterator[Completion]:
    if not text.startswith("/") or text.startswith("//"):
        return _members(text, 0, names)
    name, blank, rest = text[1:].partition(" ")
    if not blank:
        return (
            Completion(f"/{known} " if _takes(known) else f"/{known}", f"/{known}")
            for known in ROWS
            if known.startswith(name.lower())
        )
    row = ROWS.get(name.lower())
    if row is None:
        return iter(())
    begin = len(text) - len(rest)
    if row.files:
        return _paths(text, begin, entries)
    if (
        row.text
        and (addressed := rest.split(None, 1))
        and (len(addressed) > 1 or not addressed[0].startswith("@") or rest[-1:].isspace())
    ):
        return _members(text, begin, names)
    return _arguments(text, rest, row, names)


def _arguments(text: str, rest: str, row: CommandRow, names: FamiliarNames) -> Iterator[Completion]:
    """Complete the last word by the words, values of options, ids and rooms that `row` allows."""
    begun = rest.split(" ")
    last, before = begun[-1], begun[-2] if len(begun) > 1 else ""
    option, equals, _ = last.partition("=")
    if before in row.options:
        words: list[str] = list(row.options[before])
    elif equals and option in row.options:
        words = [f"{option}={value}" for value in row.options[option]]
    else:
        # An option such as --as is offered only after its first character.
        words = [*row.words, *(one for one in row.options if last or not one.startswith("-"))]
        if row.name == "help":
            words += [*TOPICS, *ROWS]
        if row.ids is not None and not _names_one(begun[:-1], names):
            ids = filter(_is_registered, names.ids) if row.registered else names.ids
            words += [row.ids + known for known in ids]
        if row.rooms is not None:
            words += [row.rooms + known for known in names.rooms]
    head = text[: len(text) - len(last)]
    return (
        Completion(
            f"{head}{word} " if word in row.options and word[0] == "-" else head + word, word
        )
        for word in dict.fromkeys(words)
        if word.lower().startswith(last.lower()) and word != last
    )


def _names_one(words: Iterable[str], names: FamiliarNames) -> bool:
    """Return True if one of `words` is a known id: no command takes two."""
    return any(word.removeprefix("@") in names.ids for word in words)


def _is_registered(known: str) -> bool:
    """Return True for an id, with or without a server; False for an address or an unconfirmed name."""
    return ID.fullmatch(known.partition("@")[0]) is not None


def _members(text: str, begin: int, names: FamiliarNames) -> Iterator[Completion]:
    """Complete the last word of a text that starts at `begin` to members of the current room."""
    last = _LAST_WORD.search(text, begin)
    assert last is not None, "an empty word is one too"
    word = last[0]
    if not word:
        return
    after = ": " if last.start() == begin else ""
    for known in names.here:
        if known.lower().startswith(word.lower()) and known != word:
            yield Completion(f"{text[: last.start()]}{known}{after}", known)


def _paths(text: str, begin: int, entries: Entries) -> Iterator[Completion]:
    """Complete a path; the completed path has the same kind of quotes as the typed part."""
    start, word, quote = open_word(text, begin)
    folder, slash, name = word.rpartition("/")
    for entry, is_folder in sorted(entries(folder + slash)):
        if not entry.startswith(name) or (entry.startswith(".") and not name):
            continue
        shown = entry + ("/" if is_folder else "")
        here = "./" if entry.startswith("~") and not slash else ""  # not a home folder
        end = "" if is_folder else f"{quote} "
        path = quoted(here + folder + slash + shown, quote)
        yield Completion(text[:start] + path + end, shown)


def open_word(text: str, begin: int) -> tuple[int, str, str]:
    """Return the start of the last word of `text[begin:]`, its contents, and the quote left open in it.

    As a shell, and `shlex`, reads it; a lone backslash at the end is ignored.
    """
    start, word, quote, index = begin, "", "", begin
    while index < len(text):
        one = text[index]
        index += 1
        if quote == "'" or (quote == '"' and one != "\\"):
            if one == quote:
                quote = ""
            else:
                word += one
        elif one == "\\":
            after = text[index : index + 1]
            index += 1
            word += after if not quote or after in ('"', "\\") else one + after
        elif one in ("'", '"'):
            quote = one
        elif one.isspace():
            start, word = index, ""
        else:
            word += one
    return start, word, quote


def quoted(path: str, quote: str) -> str:
    """Write `path` as the beginning of a word in the quotes `quote`, or with backslashes without."""
    if quote == "'":
        path = path.replace("'", "'\\''")
    return quote + _ESCAPED[quote].sub(r"\\\g<0>", path)


def _legible(found: Iterable[Completion]) -> Iterator[Completion]:
    for one in found:
        if printable(one.shown) == one.shown:
            yield one


def _takes(name: str) -> bool:
    """Return True if the command takes arguments."""
    return " " in ROWS[name].usage
