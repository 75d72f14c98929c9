"""Messages to bytes, and bytes to messages as they come in.

`Decoder` is freer in what it takes than `encode` is in what it makes (protocol section 2): LF for
CRLF, no blank or several after the colon, headers in any order, stray line ends before a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from chatproto.wire.classic import (
    IPV4,
    TABLE,
    ClassicBridge,
    ClassicRegister,
    Grammar,
    Header,
    Message,
    Sender,
    methods,
)
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import ID
from chatproto.wire.limits import DEFAULTS, Limits

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What no value may hold (C0, DEL and C1)."""
BINARY = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
"""What no line may hold; a line with it is not text, and the connection ends."""
HTTP = re.compile(rb"[A-Za-z]+ +[^ ]+ +HTTP/")
CANONICAL_REGISTER = re.compile(
    rf"REGISTER\r\nclientID: ({ID.pattern})"
    rf"\r\nIP: ({IPV4.pattern})\r\nPort: ([1-9][0-9]{{0,3}}|[1-5][0-9]{{4}})"
)
CANONICAL_BRIDGE = re.compile(rf"BRIDGE\r\nclientID: ({ID.pattern})")
"""The two requests exactly as the assignment writes them, without the blank line, which nearly all
programs send; ports from 60000 up go the plain way."""


class Familiar(dict[Any, Any]):
    """What comes again and again, by what it came as: read once, looked up from then on.

    Every eighth newcomer is taken in and at `MOST` all are dropped, so that it costs next to nothing
    where nothing ever comes again. Keys and values must be small: it holds some 2 MiB then.
    """

    MOST = 4096
    newcomers = 0

    def take(self, key: Any, value: Any) -> None:
        """Perhaps remember `value`."""
        self.newcomers += 1
        if self.newcomers & 7 == 0:
            if len(self) >= self.MOST:
                self.clear()
            self[key] = value


KNOWN_BLOCKS = Familiar()  # a canonical block: its message
KNOWN_TEXTS = Familiar()  # a message with a template: its text
CANONICAL_LINE, CANONICAL_BLOCK, CANONICAL_HEADERS = 80, 160, 3
"""No canonical block is longer; under tighter limits all go the plain way."""


class Form(NamedTuple):
    """How a kind of message is written: a template for its values, or (None) header by header."""

    template: str | None
    values: Callable[[Any], tuple[Any, ...]] | None  # None: the message is that tuple
    defaults: dict[str, Any]


def form_of(kind: type[Message]) -> Form:
    """What `encode` keeps of a kind of message."""
    names = [header.attribute for header in kind.headers]
    template = None
    if len(names) > 1 and all(header.needed and header.write is None for header in kind.headers):
        block = "".join(f"{header.name}: %s\r\n" for header in kind.headers)
        template = f"{kind.method}\r\n{block}\r\n"
    if issubclass(kind, tuple):
        return Form(template, None, kind._field_defaults)
    values = attrgetter(*names) if template else None
    defaults = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    return Form(template, values, defaults)


FORMS: dict[type[Message], Form] = {row.kind: form_of(row.kind) for row in TABLE}


def encode_text(message: Message) -> str:
    """`message` as it is written. Raises LocalError for a value that would be misread."""
    template, get_values, defaults = FORMS[message.__class__]
    if template is None:
        return _written(message, defaults)
    text: str | None = KNOWN_TEXTS.get(message)
    if text is not None:
        return text
    values = get_values(message) if get_values is not None else tuple(message)  # type: ignore[arg-type]
    for value in values:
        if value.__class__ is str and (" " in value or not value.isprintable()):
            _check(value)
    text = template % values
    KNOWN_TEXTS.take(message, text)
    return text


def encode(message: Message) -> bytes:
    """`message` as bytes. Raises LocalError for a value that would be misread."""
    try:
        return encode_text(message).encode()
    except UnicodeEncodeError:
        raise LocalError(400, "a value is not Unicode text") from None


def shown(message: Message) -> str:
    """`message` on one line for a trace: line ends as `\\r\\n`, nothing unprintable, no secret."""
    text = _written(message, {}, hide=True)
    return text.encode("unicode_escape").decode()


def _written(message: Message, defaults: dict[str, Any], hide: bool = False) -> str:
    """`message`, header by header."""
    block = [message.method]
    for header in message.headers:
        value = getattr(message, header.attribute)
        if not header.needed and value == defaults.get(header.attribute, MISSING):
            continue
        text = header.write(value) if header.write else str(value)
        _check(text)
        block.append(f"{header.name}: {'…' if hide and header.secret else text}")
    if message.lines and message.lines.attribute:
        for item in getattr(message, message.lines.attribute):
            block.append(message.lines.write(item))
            _check(block[-1], line=True)
    block.append("\r\n")
    return "\r\n".join(block)


def _check(text: str, line: bool = False) -> None:
    """Raises LocalError if the other side would read something else than `text`."""
    if CONTROL.search(text) or text != text.strip(" \t") or (line and not text):
        raise LocalError(400, f"cannot be sent: {text!r}")


class Decoder:
    """Bytes in, messages out, of what `sender` may say.

    What is wrong with a block comes out in its place as a RemoteError, to be answered with its
    status, and the next block is read as if nothing had been. After what cannot be read on (binary,
    a limit crossed, HTTP) `closed` is true and nothing more is taken. Nothing is kept past a limit.
    """

    closed = False
    _begun = False  # something has come: a first NUL is no padding
    _stale = False  # behind a NUL: what an unused part of a buffer in C held before
    _rest = b""  # of a line, not yet whole
    _block: list[bytes]  # the whole lines of a block that is not
    _size = 0  # of these

    def __init__(self, limits: Limits = DEFAULTS, sender: Sender = Sender.CLIENT) -> None:
        self._limits = limits
        self._sender = sender
        self._methods = METHODS[sender]
        self._canonical = sender is Sender.CLIENT and fits_canonical(limits)
        self._block = []

    @property
    def pending(self) -> int:
        """How much of a block is there: 0 nothing, else 1 and its whole lines."""
        begun = self._block or (self._rest and not self._stale)
        return 1 + len(self._block) if begun else 0

    def feed(self, data: bytes) -> list[Message | RemoteError]:
        """What `data` completes, in order. The chunk is split once, however much is in it."""
        found: list[Message | RemoteError] = []
        slowly = self._block or self._rest or self._stale or b"\x00" in data
        if slowly or self.closed or not self._canonical:
            self._take(data, found)
            return found
        self._begun = True
        try:
            blocks = data.decode("ascii").split("\r\n\r\n")
        except UnicodeDecodeError:
            self._take(data, found)
            return found
        rest = blocks.pop()
        for block in blocks:
            message = KNOWN_BLOCKS.get(block) or read_canonical(block)
            if message is not None:
                found.append(message)
                continue
            self._take(block.encode() + b"\r\n\r\n", found)
            if self.closed:
                return found
        if rest:
            self._take(rest.encode(), found)
        return found

    def unfinished(self) -> Message | None:
        """The REGISTER or BRIDGE that lacks nothing but its blank line, if that is what is there."""
        if self._rest or self.closed or len(self._block) < 2:
            return None
        if self._block[0].strip() not in (b"REGISTER", b"BRIDGE"):
            return None
        try:
            return read_block(self._block, self._sender)
        except RemoteError:
            return None

    def finish(self) -> list[Message | RemoteError]:
        """Take the block without its blank line, for time is up or input has ended.

        Whole REGISTER and BRIDGE are good so; anything else that was begun is malformed.
        """
        found: list[Message | RemoteError] = []
        if self.pending and not self.closed:
            found.append(self.unfinished() or RemoteError(400, "it ends in the middle"))
            self._rest = b""
            self._next_block()
        return found

    def _take(self, data: bytes, found: list[Message | RemoteError]) -> None:
        """Read `data` line by line, in all the freedom of section 2."""
        if self.closed:
            return
        lines = data.split(b"\n")
        lines[0] = self._rest + lines[0]
        self._rest = b""
        rest = lines.pop()
        try:
            for line in lines:
                self._take_line(line.removesuffix(b"\r"), found)
            rest = self._unpadded(rest) or rest[:1]  # of NULs alone one stays
            self._check_size(rest.removesuffix(b"\r"))
        except RemoteError as error:
            found.append(error)
            self.closed = True
            self._next_block()
        else:
            self._rest = rest

    def _take_line(self, line: bytes, found: list[Message | RemoteError]) -> None:
        """Read one line. Raises RemoteError for what ends the connection."""
        if line and not line.strip(b"\x00"):
            raise RemoteError(400, "NULs alone in a line")
        line = self._unpadded(line)
        self._begun = True
        if self._stale and line.strip(b" \t").decode("ascii", "replace") not in self._methods:
            return
        self._stale = False
        self._check_size(line)
        if BINARY.search(line):
            raise RemoteError(400, "control characters in a line")
        if line:
            if not self._block and HTTP.match(line):
                raise RemoteError(405, "an HTTP request")
            self._block.append(line)
            self._size += len(line) + 2
            if len(self._block) > 1 + self._limits.headers:
                raise RemoteError(413, f"more than {self._limits.headers} headers")
        elif self._block:
            try:
                found.append(read_block(self._block, self._sender))
            except RemoteError as error:
                found.append(error)
            self._next_block()

    def _unpadded(self, line: bytes) -> bytes:
        """Return `line` without NULs before it: programs in C send their whole buffer.

        What follows them is what the buffer held before, up to the next start line of a request. A NUL
        inside a line stays, and is refused with it.
        """
        if self._begun and line.startswith(b"\x00"):
            self._stale = True
        return line.rpartition(b"\x00")[2] if self._stale else line

    def _check_size(self, line: bytes) -> None:
        """Raises RemoteError if `line`, whole or not, is too much."""
        if len(line) > self._limits.line:
            raise RemoteError(413, f"a line of more than {self._limits.line} bytes")
        if self._size + len(line) > self._limits.header_block:
            raise RemoteError(413, f"headers of more than {self._limits.header_block} bytes")

    def _next_block(self) -> None:
        self._block = []
        self._size = 0


def read_canonical(block: str) -> Message | None:
    """`block`, without its blank line, if it is a canonical request; remembered for the next time."""
    message: Message
    match = CANONICAL_REGISTER.fullmatch(block)
    if match is not None:
        client_id, ip, port = match.groups()
        message = ClassicRegister(client_id, ip, int(port))
    else:
        match = CANONICAL_BRIDGE.fullmatch(block)
        if match is None:
            return None
        message = ClassicBridge(match[1])
    KNOWN_BLOCKS.take(block, message)
    return message


@lru_cache(maxsize=16)
def fits_canonical(limits: Limits) -> bool:
    """Whether every canonical block is within `limits`."""
    return (
        limits.line >= CANONICAL_LINE
        and limits.header_block >= CANONICAL_BLOCK
        and limits.headers >= CANONICAL_HEADERS
    )


METHODS: dict[Sender, dict[str, type[Message]]] = {
    sender: methods(sender, Grammar.CLASSIC) for sender in Sender
}


def read_block(block: list[bytes], sender: Sender) -> Message:
    """The message of a start line and its header lines, none of them with its line end.

    Raises RemoteError: 405 for a method that is not `sender`'s, 400 for what is wrong in it.
    """
    try:
        start, *lines = [line.decode().strip(" \t") for line in block]
    except UnicodeDecodeError:
        raise RemoteError(400, "not UTF-8") from None
    kind = METHODS[sender].get(start)
    if kind is None:
        raise RemoteError(405, f"method {start!r}")
    values: dict[str, Any] = {}
    if kind.lines:
        if kind.lines.attribute:
            values[kind.lines.attribute] = tuple(map(kind.lines.read, lines))
        return kind(**values)
    by_name = {header.name.lower(): header for header in kind.headers}
    for line in lines:
        name, colon, text = line.partition(":")
        if not colon:
            raise RemoteError(400, f"no header: {line!r}")
        header = by_name.get(name.rstrip(" \t").lower())
        if header is not None:
            if header.attribute in values:
                raise RemoteError(400, f"{header.name} twice")
            values[header.attribute] = _read_value(header, text.strip(" \t"))
    for header in kind.headers:
        if header.needed and header.attribute not in values:
            raise RemoteError(400, f"{header.name} is missing")
    return kind(**values)


def _read_value(header: Header, text: str) -> Any:
    if CONTROL.search(text):
        raise RemoteError(400, f"control characters in {header.name}")
    return header.read(text)
