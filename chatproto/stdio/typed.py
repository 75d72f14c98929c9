"""Remove from an input line what no user types: byte order marks, stray returns, NULs."""

from __future__ import annotations

import re

NOT_TEXT = "that line was left out: it is not UTF-8 text"
"""The sentence about a line with bytes that stand for no character; no guess replaces them."""
_NOT_TYPED = re.compile("[\r\0]")
_UNSEEN_BEFORE_SLASH = re.compile(
    "\\A[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+(?=/)"
)


_KEYS = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|O.)?")
_CONTROLS = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f]")


def without_keys(line: str) -> str:
    """Return a line of a terminal without what keys such as Ctrl-L and the arrows add to it.

    A program that reads whole lines gets such a key as control characters, which nobody means as text.
    """
    return _CONTROLS.sub("", _KEYS.sub("", line))


def typed(line: str) -> str:
    """Return `line` as its writer sees it, without the additions of editors and pipes.

    Byte order marks go at the beginning; CR and NUL go everywhere. Other invisible characters go
    only before a slash, so that a line which looks like a command is one. Tabs stay.
    """
    line = _NOT_TYPED.sub("", line).lstrip("\ufeff")
    return _UNSEEN_BEFORE_SLASH.sub("", line)
