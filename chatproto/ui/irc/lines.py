"""Create the lines that the face writes, including messages, and read the text of a PRIVMSG."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field

from chatproto.ui.legible import split
from chatproto.wire.actions import ACTION, split_mark
from chatproto.wire.irc import LINE_BYTES, IrcLine
from chatproto.wire.values import value_class

FACE = "chat"
"""Name of the server and host of all users, as an IRC client sees them."""
CHAT = "*chat"
"""Nickname of the program itself; commands are written to it."""
CHAT_SOURCE = f"{CHAT}!chat@{FACE}"
NO_TAGS: Mapping[str, str] = {}
_CTCP = "\x01"
_FORMATS = re.compile(
    "\x03(?:\\d{1,2}(?:,\\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?"
    "|[\x02\x0f\x11\x16\x1d\x1e\x1f]"
)
"""Formatting codes of IRC, which other interfaces would show as control pictures."""
LEAST = 64
"""Smallest number of bytes of text in a line, for any source."""


@value_class
class Batch:
    """Lines that belong together, as in IRCv3 batch; `tags` are those of the line that begins it."""

    kind: str
    lines: tuple[IrcLine, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


def reply(nick: str, numeric: str, *parameters: str) -> IrcLine:
    """Return a numeric for the client with the nickname `nick`."""
    return IrcLine(numeric, (nick, *parameters), source=FACE)


def fail(command: str, code: str, *parameters: str) -> IrcLine:
    """Return a standard reply FAIL; the last parameter is a sentence."""
    return IrcLine("FAIL", (command, code, *parameters), source=FACE)


def said(
    source: str, command: str, target: str, message: str, tags: Mapping[str, str] = NO_TAGS
) -> tuple[IrcLine, ...]:
    """Return `message` as lines of `command`, PRIVMSG or NOTICE; the first one has all `tags`.

    The others have no tag that identifies the message (`msgid`).
    """
    texts = texts_of(message, LINE_BYTES - len(f":{source} {command} {target} :\r\n".encode()))
    more = {name: value for name, value in tags.items() if name != "msgid"}
    return tuple(
        IrcLine(command, (target, text), more if number else tags, source)
        for number, text in enumerate(texts)
    )


def packed(
    numeric: str, before: tuple[str, ...], words: Iterable[str], nick: str
) -> Iterable[IrcLine]:
    """Yield numerics, each with as many of `words` as fit in its last parameter, separated by blanks."""
    head = len(f":{FACE} {numeric} {' '.join((nick, *before))} :\r\n".encode())
    line: list[str] = []
    size = head
    for word in words:
        more = len(word.encode()) + 1
        if line and size + more > LINE_BYTES:
            yield reply(nick, numeric, *before, " ".join(line))
            line, size = [], head
        line.append(word)
        size += more
    if line:
        yield reply(nick, numeric, *before, " ".join(line))


def texts_of(message: str, most: int) -> list[str]:
    """Return `message` as texts of at most `most` bytes, at least one for each of its lines.

    Control characters and CTCP in them are made harmless; an action becomes a CTCP ACTION in each.
    """
    said, kind = split_mark(message)
    frame = len(f"{_CTCP}ACTION {_CTCP}") if kind == ACTION else 0
    most = max(most - frame, LEAST)
    parts = [part for line in split(said) or [""] for part in _cut(line or " ", most)]
    return [f"{_CTCP}ACTION {part}{_CTCP}" for part in parts] if frame else parts


def typed_text(text: str) -> tuple[str, str] | None:
    """Return the typed text and its kind, as `split_mark` does; None for CTCP other than ACTION."""
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
