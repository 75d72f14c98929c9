"""Write classic messages as bytes, and read them from lines.

`ClassicParser` accepts more forms than `encode` writes (PROTOCOL.md section 2): LF or CR CR LF for
CRLF, no blank or several after the colon, headers in any order, empty lines before a message, and a
line of blanks for an empty line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any, NamedTuple

from chatproto.wire.blocks import BINARY, BlockParser, Policy, read_headers, read_values
from chatproto.wire.classic import SAYS, Message, Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.padding import BYTE_ORDER_MARK
from chatproto.wire.values import distinct

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that are refused in values (C0, DEL and C1)."""
LONGEST_START = 32
"""Bytes of an unfinished line that are stored to find a start line at its end; the longest has 10."""
HTTP = re.compile(rb"[A-Za-z]+ +[^ ]+ +HTTP/")


@distinct
class Form(NamedTuple):
    """Form in which a message is written: a template for its values, or None to write header by header."""

    template: str | None
    values: Callable[[Any], tuple[Any, ...]] | None  # None: the message itself is that tuple
    defaults: dict[str, Any]


def form_of(kind: type[Message]) -> Form:
    """Return the form of a message class, computed once."""
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


FORMS: dict[type[Message], Form] = {
    kind: form_of(kind) for kinds in SAYS.values() for kind in kinds
}


def encode_text(message: Message) -> str:
    """Return `message` as text. Raises LocalError for a value that would be misread."""
    template, get_values, defaults = FORMS[message.__class__]
    if template is None:
        return _written(message, defaults)
    values = get_values(message) if get_values is not None else tuple(message)  # type: ignore[arg-type]
    for value in values:
        if value.__class__ is str and (" " in value or not value.isprintable()):
            _check(value)
    return template % values


def encode(message: Message) -> bytes:
    """Return `message` as bytes. Raises LocalError for a value that would be misread."""
    try:
        return encode_text(message).encode()
    except UnicodeEncodeError:
        raise LocalError(400, "a value is not Unicode text") from None


def shown(message: Message) -> str:
    """Return `message` on one line for a trace, with line ends as `\\r\\n` and without unprintable
    characters or secrets.
    """
    text = _written(message, {}, hide=True)
    return text.encode("unicode_escape").decode()


def _written(message: Message, defaults: dict[str, Any], hide: bool = False) -> str:
    """Write `message` header by header."""
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
    """Raise LocalError if `text` would be read differently."""
    if CONTROL.search(text) or text != text.strip(" \t") or (line and not text):
        raise LocalError(400, f"cannot be sent: {text!r}")


class ClassicParser:
    """Read classic messages of `sender` from lines, in more forms than `encode` writes.

    The messages are appended to `found`. A malformed block is appended as a RemoteError, whose status
    is the answer, and the next block is read as usual. After input that cannot be read further (binary
    data, an exceeded limit, HTTP), `closed` is true and everything else is ignored.

    Limits: `limits.line`, `limits.headers`, `limits.header_block`.
    """

    closed = False
    begun = False
    """True once a line was received: a NUL before the first line is not padding."""
    _stale = False  # after a NUL: old contents of a C program's buffer

    def __init__(self, limits: Limits = DEFAULTS, sender: Sender = Sender.CLIENT) -> None:
        self.found: list[Message | RemoteError] = []
        self._sender = sender
        self._methods = METHODS[sender]
        self._block = BlockParser(limits, Policy.LENIENT)

    @property
    def between(self) -> bool:
        """Return True between blocks, so that a short cut may read the next one."""
        return not (self._block.lines or self._stale or self.closed)

    def line(self, line: bytes) -> None:
        """Process the next line, without its LF or CRLF."""
        if self.closed:
            return
        try:
            line = self._unpadded(line)
            self.begun = True
            if self._stale:
                line = self._start_line(line)
                if not line:
                    return
                self._stale = False
            line = line.removesuffix(b"\r")
            self._check(line)
            if not self._block.lines and HTTP.match(line):
                raise RemoteError(405, "an HTTP request")
            block = self._block.add(line if line.strip(b" \t") else b"")
        except RemoteError as error:
            self._fail(error)
            return
        if block is not None:
            try:
                self.found.append(read_message(block, self._sender))
            except RemoteError as error:
                self.found.append(error.as_value())

    def begin_line(self, rest: bytes) -> bytes:
        """Check `rest`, the beginning of a line; return the part to keep until more bytes arrive."""
        if self.closed:
            return b""
        kept = self._unpadded(rest)
        if self._stale:
            kept = kept[-LONGEST_START:]
        else:
            try:
                self._check(kept.removesuffix(b"\r").removesuffix(b"\r"))
            except RemoteError as error:
                self._fail(error)
                return b""
        removed = rest[: len(rest) - len(kept)]
        if not removed:
            return kept
        # A byte and a NUL stand for the removed bytes, so that the line is judged as if it had arrived
        # whole.
        return (removed.strip(b"\x00")[:1] or b"\x00") + b"\x00" + kept

    def pending(self, rest: bytes) -> int:
        """Return 0 if no block has begun, else 1 plus the number of complete lines of the block.

        `rest` is the unfinished line after them; blanks alone do not begin a block.
        """
        begun = self._block.lines or (rest.strip(b" \t\r") and not self._stale)
        return 1 + len(self._block.lines) if begun else 0

    def unfinished(self, rest: bytes) -> Message | None:
        """Return the REGISTER or BRIDGE that lacks only its empty line, if there is one."""
        block = self._block.lines
        if (rest.strip(b" \t\r") and not self._stale) or self.closed or len(block) < 2:
            return None
        try:
            message = read_message(block, self._sender)
        except RemoteError:
            return None
        return message if message.method in ("REGISTER", "BRIDGE") else None

    def finish(self, rest: bytes) -> None:
        """End the block without its empty line, because of a timeout or the end of input.

        A complete REGISTER or BRIDGE is accepted; any other unfinished block is malformed.
        """
        if self.pending(rest) and not self.closed:
            self.found.append(self.unfinished(rest) or RemoteError(400, "it ends in the middle"))
            self._block.take()

    def _start_line(self, line: bytes) -> bytes:
        """Return the start line that `line`, which follows a NUL, is or ends with; empty: none.

        The unused part of a buffer may end without a line end or a NUL.
        """
        text = line.strip(b" \t\r").decode("ascii", "replace")
        found = [method for method in self._methods if text.endswith(method)]
        return max(found, key=len, default="").encode()

    def _check(self, line: bytes) -> None:
        """Check `line`, which may be incomplete. Raises RemoteError 400 or 413."""
        if BINARY.search(line, 0, self._block.longest + 1):
            raise RemoteError(400, "control characters in a line")
        self._block.check(line)

    def _fail(self, error: RemoteError) -> None:
        self.found.append(error.as_value())
        self.closed = True
        self._block.take()

    def _unpadded(self, line: bytes) -> bytes:
        """Return `line` without leading NULs: C programs send their whole buffer.

        Text after the NULs is the old contents of the buffer, up to the next start line of a request. A
        NUL inside a line stays, and the line is refused.
        """
        if self.begun and line.startswith(b"\x00"):
            self._stale = True
        return line.rpartition(b"\x00")[2] if self._stale else line


METHODS: dict[Sender, dict[str, type[Message]]] = {
    sender: {kind.method: kind for kind in kinds} for sender, kinds in SAYS.items()
}


def decode(data: bytes, limits: Limits = DEFAULTS) -> Message | RemoteError:
    """Return the first request in `data`, which holds at least one whole block."""
    parser = ClassicParser(limits)
    for line in data.split(b"\n"):
        parser.line(line.removesuffix(b"\r"))
    return parser.found[0]


def read_message(block: list[bytes], sender: Sender) -> Message:
    """Read the message of a start line and its header lines, none of them with its line end.

    Raises: RemoteError: 405 for a method that `sender` may not use, 400 for a malformed header.
    """
    try:
        start, *lines = [line.decode().strip(" \t") for line in block]
        start = start.removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError:
        raise RemoteError(400, "not UTF-8") from None
    kind = METHODS[sender].get(start)
    if kind is None:
        raise RemoteError(405, f"method {start!r}")
    if kind.lines:
        name, values = kind.lines.attribute, tuple(map(kind.lines.read, lines))
        rest: dict[str, Any] = {name: values} if name else {}
        return kind(**rest)
    headers, twice = read_headers(lines, Policy.LENIENT)
    for header in kind.headers:
        if CONTROL.search(headers.get(header.name.lower(), "")):
            raise RemoteError(400, f"control characters in {header.name}")
    return kind(**read_values(kind.headers, headers, twice))
