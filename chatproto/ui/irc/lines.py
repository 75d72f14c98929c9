"""Make the lines that the face writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.ui.irc.texts import texts_of
from chatproto.wire.irc import LINE_BYTES, IrcLine
from chatproto.wire.values import value_class

FACE = "chat"
"""Name of the server and the host of everybody, as an IRC client sees them."""
CHAT = "*chat"
"""Nickname of the program itself, to which commands are written."""
CHAT_SOURCE = f"{CHAT}!chat@{FACE}"
NO_TAGS: Mapping[str, str] = {}


@value_class
class Batch:
    """Lines that belong together, as in IRCv3 batch; `tags` are those of the line that begins it."""

    kind: str
    lines: tuple[IrcLine, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


def reply(nick: str, numeric: str, *parameters: str) -> IrcLine:
    """Return a numeric for the client whose nickname is `nick`."""
    return IrcLine(numeric, (nick, *parameters), source=FACE)


def fail(command: str, code: str, *parameters: str) -> IrcLine:
    """Return a standard reply FAIL; the last parameter is a sentence."""
    return IrcLine("FAIL", (command, code, *parameters), source=FACE)


def said(
    source: str, command: str, target: str, message: str, tags: Mapping[str, str] = NO_TAGS
) -> tuple[IrcLine, ...]:
    """Return `message` as lines of `command`, PRIVMSG or NOTICE; the first one has all `tags`.

    The others have none that is an identity of the message (`msgid`).
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
    """Yield numerics whose last parameter has as many of `words` as fit, separated by blanks."""
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


def moment(at: Wall) -> str:
    """Return the value of the tag `time`."""
    return date_of(at)
