"""Read the plain text of a peer: recognise its dialect from the first bytes, then parse it.

A stream consists of blocks (`CHAT` and similar: a start line, header lines, a blank line) or of raw
text, which only silence ends. At most `limits.header_block` of a block and `limits.message` of a text
are stored. A user may write a line that looks like the start of a block, so the reader also checks what
follows it.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from chatproto.wire.blocks import Policy, read_headers
from chatproto.wire.dialects import (
    ANNOUNCE,
    CANON,
    CHATMSG,
    CHATREQ,
    CRLF,
    DIALBACK,
    IDHDR,
    IDONLY,
    LOBBY,
    PREFIXED,
    RAW,
    TYPEINIT,
    TYPELENGTH,
    Dialect,
)
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import ID, read_port
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.padding import UTF8_MARK, Unpadder
from chatproto.wire.values import value_class


@value_class
class DialectKnown:
    """The caller's dialect was recognised; values that the dialect does not send are None."""

    dialect: Dialect
    client_id: str | None = None
    host: str | None = None
    port: int | None = None


@value_class
class PlainMessage:
    """A message of the peer, without its line end."""

    text: str


@value_class
class Left:
    """The peer ended the chat with `word`; empty: its input ended."""

    word: str


Item = DialectKnown | PlainMessage | Left

# All expressions are bounded: unknown peers' data are matched again with every segment.
_ANNOUNCED = re.compile(rb"Incoming chat request from [^\n]{1,200}\n")
_ANNOUNCEMENT = re.compile(
    r"Incoming chat request from (\S+) \[?([^\s\]]+?)\]?:([0-9]{1,5})", re.ASCII
)
_PREFIX = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]{0,63})> ")
_HOST = re.compile(r"[\w.:%-]{1,255}")
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
"""Start line and headers of the openers that announce an address, which ends them."""
_COMMANDS = ("QUIT", "/quit")
"""Farewells that count even as the last line of a longer text; the words of dialect raw do not."""


class Reader:
    """Parse the incoming bytes of one connection.

    `dialect` None: the peer called us, and the first bytes show its dialect. Otherwise the dialect of
    our call, until the first frame in another dialect arrives, which is then the peer's. Raises
    RemoteError 413 for an exceeded limit, and nothing else. Nothing follows a farewell.
    """

    def __init__(self, limits: Limits = DEFAULTS, dialect: Dialect | None = None) -> None:
        self.dialect = dialect
        self.line_end = dialect.end if dialect else b""
        self.farewells: frozenset[str] = (
            frozenset()
        )  # besides those of the dialect (`raw_text.parted`)
        self._limits = limits
        self._rest = bytearray()
        self._padding = Unpadder(limits.message)
        self._called = dialect is None
        self._opened = not self._called
        # A peer that we called may answer in another dialect: its first frame shows which.
        self._mirrors = not self._called and dialect is not LOBBY
        self._due: int | None = None  # bytes of a counted body (dialect typelength)
        self._heard_text = False
        self._left = False
        self._items: list[Item] = []  # completed by the bytes fed last

    @property
    def pending(self) -> bool:
        """Return True if a block or text has begun and is incomplete."""
        return bool(self._rest) or self._due is not None or self._padding.waits

    @property
    def wants_silence(self) -> bool:
        """Return True if bytes are left that only silence can complete."""
        if self._padding.waits:
            return True
        if self._due is not None:
            # Some programs count without the line end, and some do not send one.
            return len(self._rest) >= self._due and whole(self._rest) == len(self._rest)
        if not self._rest:
            return False
        framed = self.dialect is not None and not self.dialect.bare
        match self._shape():
            case Shape.BLOCK:
                return self._lacks_blank_line()
            case Shape.START:
                # A user at netcat types an opener slowly; in a raw chat it is a word.
                return self.dialect is not None and self.dialect.bare
            case Shape.WORD:
                return not framed
            case _:
                return True

    def feed(self, data: bytes) -> list[Item]:
        """Return the items that `data` completes."""
        self._items = []
        self._take_in(self._padding.feed(data))
        return self._items

    def silence(self) -> list[Item]:
        """Return the items that silence completes: `limits.text_silence` has passed without a byte."""
        self._items = []
        self._take_in(self._padding.settle())
        if self._left or not self.wants_silence:
            return self._items
        if self._due is not None:
            self._counted(self._due, ended=True)
        elif self._lacks_blank_line():
            self._complete()
        else:
            self._flush()
        return self._items

    def end(self) -> list[Item]:
        """Return the items that the end of input completes: the rest is a message, and the peer has
        left.
        """
        self._items = []
        self._take_in(self._padding.settle())
        if self._left:
            return self._items
        self._complete()
        if not self._left:
            self._take(Left(""))
        return self._items

    def _take_in(self, parts: list[bytes | None]) -> None:
        """Process `parts`; None ends a message, as a NUL does."""
        for part in parts:
            if self._left:
                return
            if part is None:
                self._complete()
            else:
                self._rest += part
                self._run()

    def _complete(self) -> None:
        """Process the stored bytes as complete."""
        if self._due is not None:
            self._counted(min(self._due, len(self._rest)), ended=True)
        elif self._shape() in (Shape.BLOCK, Shape.START):
            self._rest += b"\r\n\r\n"  # many programs leave it out and end their input
        self._run()
        if self._rest and not self._left:
            self._flush()

    def _lacks_blank_line(self) -> bool:
        """Return True for an opener that lacks only its end, which some programs never send."""
        if self.dialect is not None or not self._rest.endswith(b"\n"):
            return False
        return self._shape() is Shape.BLOCK and is_opener(bytes(self._rest))

    def _shape(self) -> Shape:
        if self.dialect is LOBBY:
            return Shape.TEXT  # everything stored is a user's text
        return shape_of(self._rest, self.dialect in (None, IDHDR))

    def _run(self) -> None:
        while self._rest and not self._left and self._step():
            pass

    def _step(self) -> bool:
        """Process one item at the start of the stored bytes. Return False if it is incomplete."""
        rest = self._rest
        if self._due is not None:
            return self._counted(self._due)
        if self.dialect is None and rest.startswith(UTF8_MARK):
            del rest[: len(UTF8_MARK)]
        if rest.startswith((b"\r", b"\n")):
            del rest[: len(rest) - len(rest.lstrip(b"\r\n"))]
        if self._shape() in (Shape.BLOCK, Shape.QUIT):
            return self._block()
        if self.dialect is None and (line := _ANNOUNCED.match(rest)):
            announced = _ANNOUNCEMENT.fullmatch(line.group().decode("utf-8", "replace").strip())
            if announced:
                del rest[: line.end()]
                self._take(_announcer(ANNOUNCE, announced))
                return True
        prefixes = self.dialect in (None, PREFIXED) or (self._mirrors and not self._heard_text)
        if prefixes and (prefix := _PREFIX.match(rest)):
            end = rest.find(b"\n\n", prefix.end())
            if end >= 0:
                client_id, text = prefix[1].decode(), bytes(rest[prefix.end() : end])
                del rest[: end + 2]
                self._take(DialectKnown(PREFIXED, client_id))
                self._say_prefixed(text)
                return True
        if len(rest) >= self._limits.message:
            self._flush(self._limits.message)
            return True
        return False

    # Blocks.

    def _block(self) -> bool:
        size = end_of_block(self._rest, self._limits.header_block)
        if not size:
            if len(self._rest) >= self._limits.header_block:
                raise RemoteError(413, "a block that does not end")
            return False
        data = bytes(self._rest[:size])
        read = self._understood(read_block(data))
        del self._rest[:size]
        if read is None:
            # It looks like a block, but not a known one: it is text.
            text = data.decode("utf-8", "replace").replace("\r\n", "\n").strip("\n")
            read = [DialectKnown(RAW), PlainMessage(text)]
        for item in read:
            self._take(item)
        return True

    def _understood(self, block: HeaderBlock) -> list[Item] | None:
        """Return the meaning of a block; None if no dialect has such a block."""
        headers, lines = block.headers, block.lines
        if block.start == "QUIT":
            return [Left("QUIT")]
        if self.dialect is IDONLY and lines[0].lower().startswith("clientid"):
            # Everything else is text, whatever it looks like.
            return [PlainMessage("\n".join(lines[1:]))] if lines[1:] else []
        if block.start == "CHATREQ":
            return [self._caller(CHATREQ, headers)]
        if block.start == "ID":
            return [self._caller(IDHDR, headers)]
        kind = headers.get("type", "").lower()
        if kind == "quit":
            return [Left(headers["type"])]
        if kind == "message" and "length" in headers:
            self._count(headers["length"])
            return []
        if kind == "message" and "message" in headers:
            return self._said(TYPEINIT, headers, block.text_of("message"))
        if kind == "init":
            return [self._caller(TYPEINIT, headers)]
        if "message" in headers and "clientid" not in headers:
            return self._said(CHATMSG, headers, block.text_of("message"))
        if "text" in headers and "id" in headers:
            return self._said(IDHDR, headers, block.text_of("text"))
        if "content" in headers:
            return self._said(DIALBACK, headers, block.text_of("content"))
        if "clientid" in headers and "ip" in headers and "port" in headers and len(lines) == 3:
            return [self._caller(CANON, headers)]
        if "clientid" in headers and len(lines) == 1:
            return [self._caller(IDONLY, headers)]
        if "clientid" in headers:
            texts = [line for line in lines if not line.lower().startswith("clientid")]
            return self._said(IDONLY, headers, "\n".join(texts))
        return None

    def _caller(self, dialect: Dialect, headers: dict[str, str]) -> DialectKnown:
        client_id = headers.get("clientid", headers.get("id", ""))
        try:
            port: int | None = read_port(headers.get("port", ""))
        except RemoteError:
            port = None
        known = client_id if ID.fullmatch(client_id) else None
        host = headers.get("ip", "").strip("[]")
        return DialectKnown(dialect, known, host if _HOST.fullmatch(host) else None, port)

    def _said(self, dialect: Dialect, headers: dict[str, str], text: str) -> list[Item]:
        return [self._caller(dialect, headers), PlainMessage(text)]

    def _count(self, length: str) -> None:
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > self._limits.message:
            raise RemoteError(413, f"a message of {length[:20]!r} bytes")
        self._due = int(length)

    def _counted(self, due: int, ended: bool = False) -> bool:
        """Process a body of `due` bytes; `ended`: no more of it will arrive.

        Programs that count characters send more bytes than they announce: if no line end follows `due`
        bytes, the body continues up to the next one.
        """
        rest = self._rest
        if len(rest) < due:
            return False
        size = due
        if not (ended and len(rest) == due) and not _body_ends(rest, due):
            end = rest.find(b"\n", due)
            if end < 0 and not ended:
                if len(rest) > self._limits.message:
                    raise RemoteError(413, f"a message of more than {self._limits.message} bytes")
                return False
            size = end if end >= 0 else len(rest)
        text = bytes(rest[:size]).decode("utf-8", "replace").strip("\r\n")
        del rest[:size]
        self._due = None
        if not self._opened and (announced := _ANNOUNCEMENT.fullmatch(text)):
            # The first body is this dialect's opener.
            self._take(_announcer(TYPELENGTH, announced))
            return True
        self._take(DialectKnown(TYPELENGTH))
        self._take(PlainMessage(text))
        return True

    # Text.

    def _say_prefixed(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace").strip("\r\n")
        self._take(Left("/quit") if "/quit" in text else PlainMessage(text))

    def _flush(self, most: int | None = None) -> None:
        """Process the stored bytes, up to `most`, as one raw message."""
        data = bytes(self._rest if most is None else self._rest[:most])
        if most is not None:
            # A character that was cut belongs to the next part.
            data = data[: whole(data) or len(data)]
        shape = self._shape()
        del self._rest[: len(data)]
        if shape is Shape.QUIT:
            self._take(Left("QUIT"))
            return
        if self.dialect is PREFIXED and (prefix := _PREFIX.match(data)):
            self._say_prefixed(data[prefix.end() :])
            return
        text = data.decode("utf-8", "replace")
        words = text.strip("\r\n")
        if not words:
            return
        if self.dialect is None and (announced := _ANNOUNCEMENT.fullmatch(words)):
            self._take(_announcer(ANNOUNCE, announced))
            return
        end = b"\r\n" if data.endswith(b"\r\n") else b"\n" if data.endswith(b"\n") else b""
        if self.dialect is None:
            self._take(DialectKnown(CRLF if end == b"\r\n" else RAW))
        elif self.dialect is CRLF and self._called and end != b"\r\n":
            self.dialect = RAW
        if most is None:
            self.line_end = end
        assert self.dialect is not None
        said, farewell = parted(text, self.dialect, self.farewells)
        if said:
            self._take(PlainMessage(said))
        if farewell:
            self._take(Left(farewell))

    def _take(self, item: Item) -> None:
        """Record `item`, and what it shows about the dialect."""
        match item:
            case DialectKnown(dialect):
                if self._opened:  # a second opener, or the answer of a peer that we called
                    if self._mirrors and dialect not in (RAW, self.dialect):
                        self._mirrors = False
                        self.dialect, self.line_end = dialect, dialect.end
                    return
                self._opened = True
                self.dialect = dialect
                self.line_end = dialect.end
            case PlainMessage(text):
                if not text:
                    return
                self._heard_text = True
            case Left():
                self._left = True
                self._rest.clear()
        self._items.append(item)


def _body_ends(rest: bytearray, due: int) -> bool:
    """Return True if a body of `due` bytes is complete: its line end, or the next frame, follows."""
    behind = rest[due : due + 6]
    if behind:
        return behind.startswith((b"\r", b"\n")) or behind == b"CHAT\r\n"
    return rest[:due].endswith(b"\n")


def _announcer(dialect: Dialect, announced: re.Match[str]) -> DialectKnown:
    client_id, host, port = announced.groups()
    number = int(port)
    return DialectKnown(
        dialect,
        client_id if ID.fullmatch(client_id) else None,
        host,
        number if 0 < number < 65536 else None,
    )


# Blocks.


class Shape(Enum):
    """Possible meanings of the bytes received so far."""

    TEXT = auto()
    """Not a block, whatever follows."""
    WORD = auto()
    """A start line without its line end, or text."""
    START = auto()
    """A start line, without a complete header after it."""
    BLOCK = auto()
    """A start line and the name of a header that some dialect has."""
    QUIT = auto()
    """The start line of a farewell, which may stand alone."""


@value_class
class HeaderBlock:
    """A start line, its header lines by lower-cased name, and the lines in their original form."""

    start: str
    headers: dict[str, str]
    lines: list[str]

    def text_of(self, name: str) -> str:
        """Return the value of header `name` and the lines after it that are not headers: a text of
        several lines.
        """
        at = next(n for n, line in enumerate(self.lines) if _name_of(line) == name)
        more = [line for line in self.lines[at + 1 :] if _name_of(line) not in _NAMES]
        return "\n".join([self.headers[name], *more])


def shape_of(data: bytearray, ids: bool) -> Shape:
    """Classify the beginning of `data`; with `ids`, a block may start with an `ID:` line (dialect
    idhdr).
    """
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
    """Return the end of the block at the start of `data`; 0 if it does not end within `most` bytes."""
    blank = _BLANK_LINE.search(data, 0, most)
    return blank.end() if blank else 0


def read_block(data: bytes) -> HeaderBlock:
    """Split `data`, a complete block. In dialect idhdr the first line is a header too."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").strip("\n")
    start, *lines = text.split("\n")
    if _ID_START.match(data):
        start, lines = "ID", [start, *lines]
    headers, _ = read_headers(lines, Policy.LOOSE)
    return HeaderBlock(start.strip(), headers, lines)


def is_opener(data: bytes) -> bool:
    """Return True if `data`, complete lines, is an opener with an address that lacks only its blank
    line.
    """
    block = read_block(data)
    told = {name for name, value in block.headers.items() if value}
    return len(block.lines) == len(told) and (block.start, told) in _OPENERS


def _name_of(line: str) -> str:
    name, colon, _ = line.partition(":")
    return name.strip().lower() if colon else ""


# Raw text.


def parted(text: str, dialect: Dialect, farewells: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Split a raw `text` into its message and the farewell at its end; each may be empty.

    `farewells`: further words that end a chat without an opener, in lower case.
    """
    words = text.strip("\r\n")
    if dialect is LOBBY:
        return words, ""
    quits = dialect.quits or ("QUIT",)
    word = words.strip()
    if word in quits or (dialect is RAW and word.lower() in quits):
        return "", word
    if dialect in (RAW, CRLF) and word.lower() in farewells:
        return "", word
    for command in _COMMANDS:
        before = words.removesuffix(command)
        if command not in quits or before == words:
            continue
        # Without a line end before it, it counts only if its own blank line follows.
        glued = command == "QUIT" and text[len(text.rstrip("\r\n")) :].count("\n") > 1
        if before.endswith("\n") or glued:
            return before.rstrip("\r\n"), command
    return words, ""


def whole(data: bytes | bytearray) -> int:
    """Count the bytes of `data` that are complete UTF-8 characters."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) if back >= wanted else len(data) - back
        if byte < 0x80:
            break
    return len(data)
