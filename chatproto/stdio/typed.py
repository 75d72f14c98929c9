"""Remove characters from an input line that no user types: byte order marks, CR, NUL."""

from __future__ import annotations

import re

NOT_TEXT = "that line was left out: it is not UTF-8 text"
"""Sentence about a line that is not UTF-8; its bytes are not replaced by a guess."""
_NOT_TYPED = re.compile("[\r\0]")
_UNSEEN_BEFORE_SLASH = re.compile(
    "\\A[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+(?=/)"
)


_KEYS = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|O.)?")
_CONTROLS = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f]")


def without_keys(line: str) -> str:
    """Return a line of a terminal without the codes of keys such as Ctrl-L and the arrows.

    A program that reads whole lines receives such a key as control characters, which are not text.
    """
    return _CONTROLS.sub("", _KEYS.sub("", line))


def typed(line: str) -> str:
    """Return `line` as its author sees it, without the additions of editors and pipes.

    Byte order marks are removed at the beginning, CR and NUL everywhere. Other invisible characters are
    removed only before a leading slash, so that a line that looks like a command is one. Tabs remain.
    """
    line = _NOT_TYPED.sub("", line).lstrip("\ufeff")
    return _UNSEEN_BEFORE_SLASH.sub("", line)
