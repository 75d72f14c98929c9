"""Read and write lines of IRC (RFC 1459, RFC 2812) with message tags (IRCv3 message-tags).

    @label=7;+x=a\\sb :bob!bob@chat PRIVMSG #tea :hello there

`read_line` parses one line without its line end; `write_line` returns one with it. No input raises
anything but `BadIrcLine`, and no written value can end a line or begin a second one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from chatproto.wire.values import value_class

LINE_BYTES = 512
"""Largest size of a line in bytes, without its tags and with CR LF (RFC 2812, section 2.3)."""
TAG_BYTES = 8191
"""Largest size of the tags of one line in bytes, with the `@` and the blank after them (IRCv3
message-tags).
"""
PARAMETERS = 15
"""Largest number of parameters of a line; the last one has the rest (RFC 2812, section 2.3)."""

_COMMAND = re.compile(r"[A-Za-z]+|[0-9]{3}")
_TAG = re.compile(r"\+?(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9-]+")
_ESCAPES = {";": "\\:", " ": "\\s", "\\": "\\\\", "\r": "\\r", "\n": "\\n"}
_ESCAPED = str.maketrans(_ESCAPES)
_MEANT = {escape[1]: character for character, escape in _ESCAPES.items()}
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_FORBIDDEN = str.maketrans({"\0": "\u2400", "\r": "\u240d", "\n": "\u240a"})


class BadIrcLine(ValueError):
    """Line that is not valid IRC; `code` is that of the standard reply FAIL, the text a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@value_class
class IrcLine:
    """One line: a command in upper case or a numeric, its parameters, its tags and its source.

    `source`: the prefix without the colon; empty in lines of clients.
    """

    command: str
    parameters: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def read_line(data: bytes) -> IrcLine | None:
    """Parse the line in `data`, without its CR LF; return None for a blank line.

    Tags with a malformed name are left out, as the specification requires.

    Raises: BadIrcLine: it is too long, is not UTF-8, contains NUL, CR or LF, or has no command.
    """
    tagged, rest = b"", data
    if data.startswith(b"@"):
        tagged, _, rest = data.partition(b" ")
        if len(tagged) + 1 > TAG_BYTES:
            raise BadIrcLine("INPUT_TOO_LONG", f"the tags of a line have at most {TAG_BYTES} bytes")
    if len(rest) + 2 > LINE_BYTES:
        raise BadIrcLine("INPUT_TOO_LONG", f"a line has at most {LINE_BYTES} bytes")
    if any(byte in data for byte in (b"\0", b"\r", b"\n")):
        raise BadIrcLine("INVALID_LINE", "a line must not contain NUL, CR or LF")
    try:
        tags, text = _read_tags(tagged[1:].decode()), rest.decode()
    except UnicodeDecodeError:
        raise BadIrcLine("INVALID_UTF8", "a line must be UTF-8") from None
    source, text = "", text.lstrip(" ")
    if text.startswith(":"):
        source, _, text = text[1:].partition(" ")
    parameters = _read_parameters(text)
    if not parameters:
        if tagged or source:
            raise BadIrcLine("INVALID_LINE", "a line must name a command")
        return None
    if _COMMAND.fullmatch(parameters[0]) is None:
        raise BadIrcLine("INVALID_LINE", "a command has only letters, or three digits")
    return IrcLine(parameters[0].upper(), tuple(parameters[1:]), tags, source)


def write_line(line: IrcLine) -> bytes:
    """Return `line` with CR LF, at most `TAG_BYTES` and `LINE_BYTES` long.

    NUL, CR and LF are written as control pictures (U+2400 and on). Blanks in any parameter but the last
    become underscores. If the line would be too long, the last parameter is cut between two characters,
    and tags that do not fit are left out.
    """
    *firsts, last = line.parameters or ("",)
    words = [f":{_word(line.source)}"] if line.source else []
    words += [line.command, *(_word(one) for one in firsts)]
    text = " ".join(words)
    if line.parameters:
        last = last.translate(_FORBIDDEN)
        plain = last and " " not in last and not last.startswith(":")
        text += f" {last}" if plain else f" :{last}"
    body = text.encode("utf-8", "replace")[: LINE_BYTES - 2].decode("utf-8", "ignore")
    return _write_tags(line.tags) + body.encode() + b"\r\n"


def _read_parameters(text: str) -> list[str]:
    """Return the command and its parameters; the last may have blanks, behind ` :`."""
    found: list[str] = []
    text = text.lstrip(" ")
    while text:
        if found and (text.startswith(":") or len(found) == PARAMETERS):
            found.append(text.removeprefix(":"))
            break
        word, _, text = text.partition(" ")
        found.append(word)
        text = text.lstrip(" ")
    return found


def _read_tags(text: str) -> dict[str, str]:
    """Return the tags in `a=b;c`, without an `@`; a repeated name has its last value."""
    pairs = (one.partition("=") for one in text.split(";"))
    return {
        name: _ESCAPE.sub(lambda found: _MEANT.get(found[1], found[1]), value)
        for name, _, value in pairs
        if _TAG.fullmatch(name) is not None
    }


def _write_tags(tags: Mapping[str, str]) -> bytes:
    """Return `@a=b;c ` for `tags`, as many as fit; nothing without any."""
    found: list[bytes] = []
    size = len("@ ")
    for name, value in tags.items():
        if _TAG.fullmatch(name) is None:
            continue
        escaped = value.translate({0: 0x2400}).translate(_ESCAPED)
        tag = (f"{name}={escaped}" if value else name).encode("utf-8", "replace")
        size += len(tag) + bool(found)
        if size > TAG_BYTES:
            break
        found.append(tag)
    return b"@" + b";".join(found) + b" " if found else b""


def _word(text: str) -> str:
    """Return `text` as a parameter that is not the last: not empty, no blank, no leading colon."""
    word = text.translate(_FORBIDDEN).replace(" ", "_") or "*"
    return f"_{word[1:]}" if word.startswith(":") else word
