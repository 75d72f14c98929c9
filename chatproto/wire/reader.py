"""What a peer in plain text says: recognised at its head, then read in its own dialect.

A stream is blocks (`CHAT` and its like: a start line, header lines, a blank line) or bare text,
which only silence ends. Nothing is kept past `limits.header_block` of a block, nor past
`limits.message` of a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Opened:
    """The caller's dialect is known; what its row does not tell is None."""

    dialect: Dialect
    client_id: str | None = None
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One message, its line end taken off."""

    text: str


@dataclass(frozen=True, slots=True)
class Left:
    """The peer ended the chat by `word`; an empty one: its input just ended."""

    word: str


Item = Opened | Said | Left

_HEAD = re.compile(rb"(?:CHAT|CHATREQ|QUIT|ID[ \t]*:[^\n]*)[ \t]*\r?\n")
"""A start line: what follows is a block, to its blank line."""
_BLANK_LINE = re.compile(rb"\n\r?\n")
_ANNOUNCEMENT = re.compile(
    r"Incoming chat request from (\S+) \[?([^\s\]]+?)\]?:([0-9]{1,5})", re.ASCII
)
_ANNOUNCED = re.compile(rb"Incoming chat request from [^\n]{1,200}\n")
_PREFIXED = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]{0,63})> ([^\0]*?)\n\n")
_LAST_LINE_QUIT = re.compile(r"(?:\A|\r?\n)QUIT(?:\r?\n)*\Z")


@dataclass(frozen=True, slots=True)
class _Block:
    """A start line, its header lines by lower-cased name, and the lines as they stood."""

    start: str
    headers: dict[str, str]
    lines: list[str]
    size: int  # with its blank line


class Reader:
    """One incoming direction of one connection.

    `dialect` None: we were called, and the head of the stream tells it; else it is how we called.
    Raises RemoteError 413 for what crosses a limit, and nothing else.
    """

    def __init__(self, limits: Limits = DEFAULTS, dialect: Dialect | None = None) -> None:
        self.dialect = dialect
        self.line_end = dialect.end if dialect else b""
        self._limits = limits
        self._rest = bytearray()
        self._called = dialect is None
        self._opened = not self._called
        self._due: int | None = None  # bytes of a counted body (dialect typelength)

    @property
    def wants_silence(self) -> bool:
        """Whether bytes wait that only silence can end."""
        farewell = self._rest.startswith(b"QUIT")  # may lack its blank line
        return bool(self._rest) and self._due is None and (farewell or not self._is_block())

    def feed(self, data: bytes) -> list[Item]:
        """What `data` completes."""
        self._rest += data
        items: list[Item] = []
        while self._step(items):
            pass
        return items

    def silence(self) -> list[Item]:
        """`limits.text_silence` has passed without a byte: a bare text is whole."""
        items: list[Item] = []
        if self.wants_silence:
            self._flush(items)
        return items

    def end(self) -> list[Item]:
        """The end of input: what is left is a message, and the peer has left."""
        items: list[Item] = []
        self._due = None
        while self._rest and self._step(items):
            pass
        if self._rest:
            self._flush(items)
        if not (items and isinstance(items[-1], Left)):
            items.append(Left(""))
        return items

    def _is_block(self) -> bool:
        return _HEAD.match(self._rest) is not None

    def _step(self, items: list[Item]) -> bool:
        """Take one thing from the head of what is there. False if it is not whole yet."""
        rest = self._rest
        if self._due is not None:
            return self._counted(items)
        if rest.startswith((b"\r", b"\n")):
            del rest[: len(rest) - len(rest.lstrip(b"\r\n"))]
        if not rest:
            return False
        if self._is_block():
            return self._block(items)
        if self._called and self.dialect is None:
            found = _ANNOUNCED.match(rest)
            if found:
                return self._announced(found.group().decode("utf-8", "replace"), items)
        if self.dialect in (None, PREFIXED):
            prefixed = _PREFIXED.match(rest)
            if prefixed:
                return self._prefixed(prefixed, items)
        if len(rest) >= self._limits.message:
            self._flush(items, self._limits.message)
            return True
        return False

    # Blocks.

    def _block(self, items: list[Item]) -> bool:
        blank = _BLANK_LINE.search(self._rest, 0, self._limits.header_block)
        if blank is None:
            if len(self._rest) >= self._limits.header_block:
                raise RemoteError(413, "a block that does not end")
            return False
        block = _read_block(bytes(self._rest[: blank.end()]))
        read = self._understood(block)
        if read is None:
            # It looks like a block and is none that we know: words, then.
            text = "\n".join([block.start, *block.lines])
            read = [] if self.dialect else [Opened(RAW)]
            read.append(Said(text))
        del self._rest[: block.size]
        for item in read:
            self._take(item, items)
        return True

    def _understood(self, block: _Block) -> list[Item] | None:
        """What a block says; None if it is no block of any row."""
        headers, lines = block.headers, block.lines
        if block.start == "QUIT":
            return [Left("QUIT")]
        if block.start == "CHATREQ":
            return [self._caller(CHATREQ, headers)]
        if block.start.upper().startswith("ID"):
            return [self._caller(IDHDR, headers)]
        kind = headers.get("type", "")
        if kind.lower() == "quit":
            return [Left(kind)]
        if kind.lower() == "message" and "length" in headers:
            self._count(headers["length"])
            self.dialect = self.dialect or TYPELENGTH
            return []
        if kind.lower() == "message":
            return self._said(TYPEINIT, headers, headers.get("message", ""))
        if kind.lower() == "init":
            return [self._caller(TYPEINIT, headers)]
        if "message" in headers and "clientid" not in headers:
            return self._said(CHATMSG, headers, headers["message"])
        if "text" in headers and "id" in headers:
            return self._said(IDHDR, headers | {"clientid": headers["id"]}, headers["text"])
        if "content" in headers:
            return self._said(DIALBACK, headers, headers["content"])
        if "clientid" in headers and "ip" in headers and "port" in headers and len(lines) == 3:
            return [self._caller(CANON, headers)]
        if "clientid" in headers and len(lines) == 1:
            return [self._caller(IDONLY, headers)]
        if "clientid" in headers:
            texts = [line for line in lines if not line.lower().startswith("clientid")]
            return self._said(IDONLY, headers, "\n".join(texts))
        return None

    def _caller(self, dialect: Dialect, headers: dict[str, str]) -> Opened:
        client_id = headers.get("clientid", headers.get("id", ""))
        try:
            port: int | None = read_port(headers.get("port", ""))
        except RemoteError:
            port = None
        known = client_id if ID.fullmatch(client_id) else None
        return Opened(dialect, known, headers.get("ip") or None, port)

    def _said(self, dialect: Dialect, headers: dict[str, str], text: str) -> list[Item]:
        if self.dialect is not None:
            return [Said(text)]
        return [self._caller(dialect, headers), Said(text)]

    def _count(self, length: str) -> None:
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > self._limits.message:
            raise RemoteError(413, f"a message of {length[:20]!r} bytes")
        self._due = int(length)

    def _counted(self, items: list[Item]) -> bool:
        assert self._due is not None
        if len(self._rest) < self._due:
            return False
        text = bytes(self._rest[: self._due]).decode("utf-8", "replace")
        del self._rest[: self._due]
        self._due = None
        if not self._opened:
            # The first body is this row's opener.
            self._opened = True
            announced = _ANNOUNCEMENT.fullmatch(text)
            items.append(_announcer(TYPELENGTH, announced) if announced else Opened(TYPELENGTH))
            if announced:
                return True
        items.append(Said(text))
        return True

    def _announced(self, line: str, items: list[Item]) -> bool:
        announced = _ANNOUNCEMENT.match(line)
        if announced is None:
            return False
        del self._rest[: len(line.encode())]
        self._take(_announcer(ANNOUNCE, announced), items)
        return True

    def _prefixed(self, found: re.Match[bytes], items: list[Item]) -> bool:
        client_id = found[1].decode()
        text = found[2].decode("utf-8", "replace")
        del self._rest[: found.end()]
        if self.dialect is None:
            self._take(Opened(PREFIXED, client_id), items)
        self._take(Left("/quit") if "/quit" in text else Said(text), items)
        return True

    # Bare text.

    def _flush(self, items: list[Item], most: int | None = None) -> None:
        """Take what is there, up to `most` bytes, as one bare message."""
        if self._rest.startswith(b"QUIT") and self._is_block():
            self._rest.clear()
            self._take(Left("QUIT"), items)
            return
        data = bytes(self._rest if most is None else self._rest[:most])
        if most is not None:
            # A character that is cut goes to the next part.
            data = data[: _whole(data) or len(data)]
        del self._rest[: len(data)]
        end = b"\r\n" if data.endswith(b"\r\n") else b"\n" if data.endswith(b"\n") else b""
        text = data.decode("utf-8", "replace").rstrip("\r\n")
        if not text.strip("\r\n"):
            return
        if self.dialect is None:
            self._take(Opened(CRLF if end == b"\r\n" else RAW), items)
        elif self.dialect is CRLF and self._called and end != b"\r\n":
            self.dialect = RAW
        if most is None:
            self.line_end = end
        assert self.dialect is not None
        self._say_bare(text.lstrip("\r\n"), self.dialect, items)

    def _say_bare(self, text: str, dialect: Dialect, items: list[Item]) -> None:
        word = text.strip()
        quits = dialect.quits or ("QUIT",)
        if dialect is LOBBY:
            self._take(Said(text), items)
        elif word in quits or (dialect is RAW and word.lower() in quits):
            self._take(Left(word), items)
        elif "QUIT" in quits and _LAST_LINE_QUIT.search(text):
            self._take(Said(_LAST_LINE_QUIT.sub("", text)), items)
            self._take(Left("QUIT"), items)
        else:
            self._take(Said(text), items)

    def _take(self, item: Item, items: list[Item]) -> None:
        """Note `item`, and what it tells of the dialect."""
        if isinstance(item, Opened):
            if self._opened:
                return  # a second opener, or that of one whom we called, says nothing new
            self._opened = True
            self.dialect = item.dialect
            self.line_end = item.dialect.end
        items.append(item)


def _announcer(dialect: Dialect, announced: re.Match[str]) -> Opened:
    client_id, host, port = announced.groups()
    number = int(port)
    return Opened(
        dialect,
        client_id if ID.fullmatch(client_id) else None,
        host,
        number if 0 < number < 65536 else None,
    )


def _read_block(data: bytes) -> _Block:
    start, *lines = data.decode("utf-8", "replace").replace("\r\n", "\n").strip("\n").split("\n")
    if start.upper().startswith("ID"):
        lines.insert(0, start)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return _Block(start.strip(), headers, lines, len(data))


def _whole(data: bytes) -> int:
    """How many bytes of `data` are whole UTF-8 characters."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) if back >= wanted else len(data) - back
        if byte < 0x80:
            break
    return len(data)
