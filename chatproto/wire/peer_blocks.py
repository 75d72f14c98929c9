"""Find blocks of headers in the plain text of a peer.

A person may well write a line that looks like the start of one, so what follows it is looked at too.
All expressions here are bounded: what a stranger sends is matched again with every segment.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from chatproto.wire.blocks import Policy, read_headers
from chatproto.wire.values import value_class

_NAMES = ("clientid", "id", "ip", "port", "type", "length", "message", "content", "text")
_START = re.compile(rb"(CHAT|CHATREQ|QUIT)[ \t]{0,8}\r?\n")
_ID_START = re.compile(rb"[Ii][Dd][ \t]{0,8}:[^\r\n]{0,200}\r?\n")
_NAME = re.compile(rb"[ \t]{0,8}([A-Za-z]{0,9})[ \t]{0,8}(:?)")
_BEGINNINGS = (b"CHAT\r\n", b"CHATREQ\r\n", b"QUIT\r\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_OPENERS = (
    ("CHAT", {"clientid", "ip", "port"}),
    ("CHAT", {"type", "clientid", "ip", "port"}),
    ("ID", {"id", "ip", "port"}),
)
"""Start line and headers of the openers that tell an address, with which they end."""


class Shape(Enum):
    """The possible meanings of the bytes received so far."""

    TEXT = auto()
    """No block, whatever comes."""
    WORD = auto()
    """A start line that lacks its end, or text."""
    START = auto()
    """A start line, after which no header is whole."""
    BLOCK = auto()
    """A start line and the name of a header that some row has."""
    QUIT = auto()
    """The start line of a farewell, which need not have more."""


@value_class
class HeaderBlock:
    """A start line, its header lines by lower-cased name, and the lines as they stood."""

    start: str
    headers: dict[str, str]
    lines: list[str]

    def text_of(self, name: str) -> str:
        """The value of header `name` and the lines after it that are no headers: a text of several."""
        at = next(n for n, line in enumerate(self.lines) if _name_of(line) == name)
        more = [line for line in self.lines[at + 1 :] if _name_of(line) not in _NAMES]
        return "\n".join([self.headers[name], *more])


def shape_of(data: bytearray, ids: bool) -> Shape:
    """Tell what `data` begins with; with `ids`, a block may start with an `ID:` line (dialect idhdr)."""
    start = _START.match(data)
    if start is None and ids:
        start = _ID_START.match(data)
    if start is None:
        whole = len(data) < 9 and any(one.startswith(data) for one in _BEGINNINGS)
        return Shape.WORD if whole else Shape.TEXT
    if start.lastindex and start[1] == b"QUIT":
        return Shape.QUIT
    following = _NAME.match(data, start.end())
    assert following is not None
    name = following[1].decode().lower()
    if following[2]:
        return Shape.BLOCK if name in _NAMES else Shape.TEXT
    if following.end() == len(data) and any(one.startswith(name) for one in _NAMES):
        return Shape.START
    return Shape.TEXT


def end_of_block(data: bytearray, most: int) -> int:
    """Return the end of the block at the head of `data`, 0 if it does not end within `most` bytes."""
    blank = _BLANK_LINE.search(data, 0, most)
    return blank.end() if blank else 0


def read_block(data: bytes) -> HeaderBlock:
    """`data`, a whole block, taken apart. The first line of row idhdr is a header too."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").strip("\n")
    start, *lines = text.split("\n")
    if _ID_START.match(data):
        start, lines = "ID", [start, *lines]
    headers, _ = read_headers(lines, Policy.LOOSE)
    return HeaderBlock(start.strip(), headers, lines)


def is_opener(data: bytes) -> bool:
    """Return True if `data`, whole lines, are an opener with an address that lacks only its blank line."""
    block = read_block(data)
    told = {name for name, value in block.headers.items() if value}
    return len(block.lines) == len(told) and (block.start, told) in _OPENERS


def _name_of(line: str) -> str:
    name, colon, _ = line.partition(":")
    return name.strip().lower() if colon else ""
