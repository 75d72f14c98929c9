"""Turn a message into texts of PRIVMSG and back."""

from __future__ import annotations

import re

from chatproto.ui.legible import split
from chatproto.wire.actions import ACTION, split_mark

_CTCP = "\x01"
_FORMATS = re.compile(
    "\x03(?:\\d{1,2}(?:,\\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?"
    "|[\x02\x0f\x11\x16\x1d\x1e\x1f]"
)
"""Colours and the like, which other programs show as pictures of control characters."""
LEAST = 64
"""Bytes of text in a line at least, whoever says it."""


def texts_of(message: str, most: int) -> list[str]:
    """Return `message` as texts of at most `most` bytes, one for each of its lines at least.

    Nothing in them is obeyed by a terminal or taken for CTCP; an action becomes a CTCP ACTION in each.
    """
    said, kind = split_mark(message)
    frame = len(f"{_CTCP}ACTION {_CTCP}") if kind == ACTION else 0
    most = max(most - frame, LEAST)
    parts = [part for line in split(said) or [""] for part in _cut(line or " ", most)]
    return [f"{_CTCP}ACTION {part}{_CTCP}" for part in parts] if frame else parts


def typed_text(text: str) -> tuple[str, str] | None:
    """Return what was typed and its kind, as `split_mark` does; None for other CTCP than ACTION."""
    kind = ""
    if text.startswith(_CTCP):
        word, _, text = text.strip(_CTCP).partition(" ")
        if word.upper() != "ACTION":
            return None
        kind = ACTION
    return _FORMATS.sub("", text), kind


def _cut(line: str, most: int) -> list[str]:
    """Cut `line` between two characters, and at a blank where one is near."""
    parts: list[str] = []
    data = line.encode("utf-8", "replace")
    while len(data) > most:
        head = data[:most].decode("utf-8", "ignore")
        blank = head.rfind(" ", len(head) * 3 // 4)
        head = head[: blank + 1] if blank > 0 else head
        parts.append(head)
        data = data[len(head.encode()) :]
    return [*parts, data.decode()]
