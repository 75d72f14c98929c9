"""Make text from peers safe to show inside a line of this program."""

from __future__ import annotations

import re

from chatproto.stdio.printable import printable
from chatproto.wire.fields import ID

_LINE_END = re.compile("\r\n|[\n\u2028\u2029]")
"""Characters that begin a new line, here or in a program that reads our lines."""

_NOT_IN_A_NAME = re.compile(r"[\s>]+")


def split(text: str) -> list[str]:
    """Return the lines of `text`, each safe to show; a final line end adds no further line."""
    text = _LINE_END.sub("\n", text)
    lines = printable(text, lines=True).split("\n")
    if text.endswith("\n"):
        lines.pop()
    return lines


def inline(text: str) -> str:
    """Return `text` in a form that is safe inside one line."""
    return " ".join(split(text))


def name(text: str) -> str:
    """Return an id or similar as one word, so that no name can look like the rest of a line."""
    if ID.fullmatch(text):
        return text
    return _NOT_IN_A_NAME.sub("_", inline(text)) or "?"


def bracket(reason: str | None) -> str:
    return f" ({inline(reason)})" if reason else ""


def room_name(text: str) -> str:
    """Return a room name as one word."""
    return f"#{name(text.removeprefix('#'))}"
