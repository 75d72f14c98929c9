"""Parse the arguments of commands: one function per syntax.

Args: the rest of the line after the command's name and one blank, and a function that reads free text.
Returns: the arguments of the client's method. Raises: Misused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from chatproto.net.paths import local_path

ReadText = Callable[[str], str]
"""Function that reads a free text: `str` for typed text, another one for the JSON interface."""


NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class Misused(Exception):
    """Arguments do not fit the command; the text continues its name: "needs a text"."""


def nothing(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Accept no argument."""
    if split_words(rest):
        raise Misused("takes no arguments")
    return ()


def one(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse one id, `#room` or number; `@bob` means bob, as in /msg."""
    words = split_words(rest)
    if len(words) > 1:
        raise Misused("takes one name")
    name = words[0].removeprefix("@") if words else ""
    if not name:
        raise Misused("needs a name")
    return (name,)


def one_or_none(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse as `one` does; return "" for no argument."""
    return one(rest, read_text) if split_words(rest) else ("",)


def asker(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse an id, or the number of a file; `@5` is an id and keeps its `@`."""
    words = split_words(rest)
    (name,) = one_or_none(rest, read_text)
    return (f"@{name}",) if name.isdecimal() and words[0].startswith("@") else (name,)


def accepted(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse as `asker` does, with an optional folder for an offered file; `~` at its beginning is a
    home folder.
    """
    words = split_words(rest)
    if len(words) < 2:
        return asker(rest, read_text)
    if len(words) > 2 or not words[0] or not words[1]:
        raise Misused("takes one name and an optional folder")
    who = words[0] if words[0].removeprefix("@").isdecimal() else words[0].removeprefix("@")
    return who, str(Path(_expanded(words[1])).absolute())


def number(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a number from 1 on."""
    words = split_words(rest)
    if len(words) != 1 or NUMBER.fullmatch(words[0]) is None:
        raise Misused("takes a number")
    return (words[0],)


def paths(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse at least one path; the recipient is the current conversation.

    `~` and `~name` at the beginning of a path are home folders.
    """
    words = split_words(rest)
    if not words or not all(words):
        raise Misused("needs a path")
    return ("", *(_expanded(word) for word in words))


def _expanded(path: str) -> str:
    try:
        found = local_path(path)
    except ValueError as wrong:
        raise Misused(f"cannot use {shortened(path)}: {wrong}") from None
    return str(found) if path.startswith("~") else path


MOST_SHOWN = "20"
"""Number of messages that /history shows by default."""


def past(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a name (id or `#room`) and a number of messages; both are optional.

    `@5` is an id, `5` a number.
    """
    words = split_words(rest)
    count = words.pop() if words and NUMBER.fullmatch(words[-1]) else ""
    if len(words) > 1 or not all(word.removeprefix("@") for word in words):
        raise Misused("takes one name and an optional number")
    if not words:
        return (count,) if count else ()
    return count or MOST_SHOWN, words[0].removeprefix("@")


def number_and_name(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a number from 1 on, and an optional name."""
    words = split_words(rest)
    if not 1 <= len(words) <= 2 or NUMBER.fullmatch(words[0]) is None:
        raise Misused("takes a number and an optional name")
    return words[0], words[1].removeprefix("@") if len(words) == 2 else ""


def compared(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse an optional id and an optional `yes`."""
    words = [word.removeprefix("@") for word in split_words(rest)]
    same = words.pop() if words and words[-1].lower() == "yes" else ""
    if len(words) > 1:
        raise Misused("takes one name and an optional yes")
    return (words[0] if words else "", same.lower())


def name_and_key(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse an id and the name of a key."""
    words = split_words(rest)
    if len(words) != 2:
        raise Misused("takes a name and a key")
    return words[0].removeprefix("@"), words[1]


def ignored(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse the name to ignore (empty: list them), and return `yes` after `off`, else `no`."""
    words = [word.removeprefix("@") for word in split_words(rest)]
    off = "yes" if len(words) == 2 and words[0] == "off" else "no"
    if len(words) > 1 and off == "no":
        raise Misused("takes one name, with off before it to end it")
    return (words[-1] if words else "", off)


def full_or_half(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse `full` or `half`."""
    words = [word.lower() for word in split_words(rest)]
    if words not in (["full"], ["half"]):
        raise Misused("takes full or half")
    return (words[0],)


def callee(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a name or address to call, and the dialect after `--as`; each may be ""."""
    target, dialect = "", ""
    words = iter(split_words(rest))
    for word in words:
        if word == "--as" or word.startswith("--as="):
            dialect = word[5:] or next(words, "")
            if not dialect:
                raise Misused("needs a dialect after --as")
        elif word.startswith("-"):
            raise Misused(f"has no option {shortened(word)}")
        elif target:
            raise Misused("calls one peer at a time")
        else:
            target = word.removeprefix("@")
    return target, dialect


_TO = re.compile(r"\s*@(\S+)(?:\s|\Z)")


def addressed_text(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a text with its recipient (`@bob` before it), "" without one.

    One blank precedes the text; further ones belong to it. Without `@`, the first of several words is
    returned too, because it may be a name whose `@` was forgotten. A JSON string has no such word.
    """
    to = ""
    if found := _TO.match(rest):
        to = found[1]
        rest = rest[found.end() :]
    text = read_text(rest)
    if not text.strip():
        raise Misused("needs a text")
    words = text.split(None, 1) if not to and text == rest else []
    return (text, to, words[0]) if len(words) > 1 else (text, to)


def some_text(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a text that is not blank."""
    text = read_text(rest).strip()
    if not text:
        raise Misused("needs a text")
    return (text,)


def text_or_none(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a text, which may be empty."""
    return (read_text(rest).strip(),)


def shortened(word: str) -> str:
    """Return `word`, cut to a length that cannot fill the screen after a mistaken paste."""
    return word if len(word) <= 40 else word[:39] + "…"


def split_words(rest: str) -> list[str]:
    """Split `rest` into words as a shell does."""
    try:
        return shlex.split(rest)
    except ValueError as error:
        if "quotation" in str(error):
            raise Misused("has a quote without its end") from None
        raise Misused("ends in a single backslash") from None
