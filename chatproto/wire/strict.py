"""Encode and decode BCP/2 messages: CRLF lines, then a body of a known length (section 1)."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from chatproto.wire.bcp2_common import FIFTEEN_DIGITS, SURE, Bcp2Message, Body, read_count
from chatproto.wire.bcp2_files import Data, Piece
from chatproto.wire.bcp2_peer import FROM_PEER
from chatproto.wire.bcp2_server import FROM_CLIENT, FROM_SERVER
from chatproto.wire.blocks import (
    BAD,
    CONTROL,
    BlockParser,
    Policy,
    read_headers,
    read_start,
    read_values,
)
from chatproto.wire.classic import Header, Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fast import (
    fits_data,
    read_data_head,
    take_text,
    text_form,
    write_data_head,
)
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.values import distinct

TLS_CLIENT_HELLO = 0x16
"""First byte of a TLS connection (RFC 8446, section 5.1); no plain text begins with it."""
SAYS: dict[Sender, tuple[type[Bcp2Message], ...]] = {
    Sender.CLIENT: FROM_CLIENT,
    Sender.SERVER: FROM_SERVER,
    Sender.PEER: FROM_PEER,
}
"""Messages of each side."""
KINDS = {sender: {kind.method: kind for kind in kinds} for sender, kinds in SAYS.items()}
"""The messages of each side by method."""
ABSENT: dict[type[Bcp2Message], dict[str, Any]] = {
    kind: {field.name: field.default for field in fields(kind)}
    for kinds in SAYS.values()
    for kind in kinds
}
"""Values that are sent by leaving out their header; messages before TLS have none."""
SKIPPED = {
    Sender.CLIENT: "body_to_server",
    Sender.SERVER: "body_from_server",
    Sender.PEER: "message",
}
"""Name of the limit on a body that is not read: of an unknown method, or of one without a body."""
SMALL_PART = 4096
"""Parts of a body are joined up to this many bytes, so that a body in small parts does not take many
times its size.
"""
LARGE_PART = 16 * 1024
"""Size in bytes from which a part of a body is not copied out of the received chunk."""


def encode(message: Bcp2Message, limits: Limits = DEFAULTS) -> bytes:
    """Return `message` as bytes.

    Raises LocalError: 400 for a value that would be refused or misread, 413 for an exceeded limit.
    """
    return b"".join(encode_apart(message, limits))


def encode_apart(message: Bcp2Message, limits: Limits = DEFAULTS) -> tuple[bytes, Piece]:
    """Return the head and the body of `message` as bytes; the body is not copied. Raises the errors of
    `encode`.
    """
    if isinstance(message, Data) and len(message.data) <= limits.chunk and fits_data(limits):
        usual = write_data_head(message)
        if usual is not None:
            return usual, message.data
    body = b""
    lines = [message.method]
    for header, value in _values_of(message):
        text = header.write(value) if header.write else str(value)
        if not (header.read in SURE and type(value) is int and 0 < value < FIFTEEN_DIGITS):
            if CONTROL.search(text) or text != text.strip(" \t"):
                raise LocalError(400, f"cannot be sent: {text!r}")
            try:
                header.read(text)  # as the receiver will
            except RemoteError as error:
                raise LocalError(error.status, f"{header.name}: {error.detail}") from None
        lines.append(f"{header.name}: {text}")
    if message.body is not None:
        body = _body_of(message, message.body)
        if len(body) > getattr(limits, message.body.limit):
            raise LocalError(413, f"a body of {len(body)} bytes")
        lines.append(f"Content-Length: {len(body)}")
    try:
        head = [line.encode() for line in lines]
    except UnicodeEncodeError:
        raise LocalError(400, "a value is not Unicode text") from None
    size = sum(len(line) + 2 for line in head)
    if max(map(len, head)) > limits.line or size > limits.header_block:
        raise LocalError(413, f"the headers of {message.method} are too long")
    return b"\r\n".join([*head, b"", b""]), body


def shown(message: Bcp2Message) -> str:
    """Return `message` on one line for a trace, without the text of its body and without secrets."""
    lines = [message.method]
    for header, value in _values_of(message):
        text = "…" if header.secret else header.write(value) if header.write else value
        lines.append(f"{header.name}: {text}")
    if message.body is not None:
        length = "…" if message.body.secret else len(_body_of(message, message.body))
        lines.append(f"Content-Length: {length}")
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in " | ".join(lines)
    )


def _values_of(message: Bcp2Message) -> list[tuple[Header, Any]]:
    """List the headers of `message` that are sent, and their values."""
    defaults = ABSENT.get(message.__class__, {})
    found = []
    for header in message.headers:
        value = getattr(message, header.attribute)
        if header.needed or value != defaults.get(header.attribute, MISSING):
            found.append((header, value))
    return found


def _body_of(message: Bcp2Message, body: Body) -> bytes:
    """Return the body of `message` as bytes. Raises LocalError if it is not valid text."""
    try:
        return body.write(getattr(message, body.attribute))
    except UnicodeEncodeError:
        raise LocalError(400, "a text is not Unicode text") from None


@distinct
class _Head(NamedTuple):
    """Message whose body has not arrived: its values, or the error in its headers."""

    kind: type[Bcp2Message] | None
    values: dict[str, Any]
    error: RemoteError | None
    lines: list[bytes]


class StrictParser:
    """Read the BCP/2 messages that `sender` may send, from lines and the bytes of bodies.

    The messages are appended to `found`. A malformed message is appended as a RemoteError, with the
    `cseq` that its answer repeats, and the next one is read as usual. After input that cannot be read
    further (a line end that is not CRLF, a control character, a line that is not a header, an ambiguous
    length or number, an exceeded limit) `closed` is true and the rest is ignored.

    Limits: `limits.line`, `limits.headers`, `limits.header_block`, and the limit of each body.
    """

    def __init__(self, sender: Sender, limits: Limits = DEFAULTS) -> None:
        self.closed = False
        self.found: list[Bcp2Message | RemoteError] = []
        self.in_body = False
        """True if the next bytes belong to a body."""
        self._limits = limits
        self._kinds = KINDS[sender]
        self._skipped: int = getattr(limits, SKIPPED[sender])
        self._files = Data.method in self._kinds and fits_data(limits)
        self._form = text_form(sender, limits)
        self._block = BlockParser(limits, Policy.STRICT)
        self._head: _Head | None = None  # of the message whose body is being received
        self._parts: list[Piece] = []
        self._missing = 0

    @property
    def in_block(self) -> bool:
        """Return True if a block of headers has begun with a complete line."""
        return bool(self._block.lines)

    def line(self, line: bytes) -> None:
        """Process the next line, without its CRLF."""
        if self.closed:
            return
        lines = None
        try:
            lines = self._block.add(line)
            if lines is not None:
                self._begin(lines)
        except RemoteError as error:
            self._fail(error, lines or self._block.take())

    def begin_line(self, rest: bytes) -> bytes:
        """Check `rest`, the beginning of a line; return the part to keep until more bytes arrive."""
        if self.closed:
            return b""
        try:
            self._block.check(rest.removesuffix(b"\r"))
        except RemoteError as error:
            self._fail(error, self._block.take())
            return b""
        return rest

    def body(self, data: bytes, at: int = 0) -> int:
        """Process the bytes of a body in `data` from `at` on; return the position of their end.

        The bytes of a body without a reader are dropped.
        """
        head = self._head
        assert head is not None
        end = min(at + self._missing, len(data))
        self._missing -= end - at
        if head.error is None and head.kind is not None and head.kind.body is not None:
            part, parts = _part(data, at, end), self._parts
            if parts and len(parts[-1]) < SMALL_PART:
                parts[-1] = b"".join((parts[-1], part))
            else:
                parts.append(part)
        if not self._missing:
            self._finish(head)
        return end

    def block(self, data: bytes, at: int) -> int:
        """Process the block at `at` in one step if it is complete and each line is well formed.

        Errors are left to `line`. The received part of the body after the block is processed too.

        Returns: the position after the processed bytes; 0 if the block must be processed line by line.
        """
        if self._block.lines:
            return 0
        if self._files and data.startswith(b"DATA", at) and (end := self._take_data(data, at)):
            return end
        limits = self._limits
        form = self._form
        if form is not None and data.startswith(form.begin, at):
            said = take_text(form, data, at, getattr(limits, form.limit))
            if said is not None:
                self.found.append(said[0])
                return said[1]
        end = data.find(b"\r\n\r\n", at, at + limits.header_block)
        if end < 0:
            return 0
        lines = data[at:end].split(b"\r\n")
        if (
            not lines[0]
            or len(lines) > limits.headers + 1
            or max(map(len, lines)) > limits.line
            or BAD.search(b"".join(lines))
        ):
            return 0
        try:
            self._begin(lines)
        except RemoteError as error:
            self._fail(error, lines)
        end += 4
        return end if not self.in_body or end == len(data) else self.body(data, end)

    def _take_data(self, data: bytes, at: int) -> int:
        """Process a usual head of DATA at `at`, with its body if that has arrived; return the position
        after it, or 0.
        """
        head = read_data_head(data, at)
        if head is None or head.length > self._limits.chunk:
            return 0
        end = head.end + head.length
        if end <= len(data):
            self.found.append(Data(head.id, head.offset, _part(data, head.end, end)))
            return end
        self._head = _Head(Data, {"id": head.id, "offset": head.offset}, None, [])
        self._missing, self.in_body = head.length, True
        return head.end if head.end == len(data) else self.body(data, head.end)

    def _fail(self, error: RemoteError, lines: list[bytes]) -> None:
        error.cseq = number(lines)
        self.found.append(error.as_value())
        self.closed = True

    def _begin(self, lines: list[bytes]) -> None:
        """Parse a complete block. Raises RemoteError if reading cannot continue."""
        method, rest = read_start(lines)
        headers, twice = read_headers(rest, Policy.STRICT)
        if "cseq" in twice or "content-length" in twice:
            raise RemoteError(400, "CSeq or Content-Length twice")
        kind = self._kinds.get(method)
        body = kind.body if kind is not None else None
        length = headers.get("content-length")
        self._missing = 0 if length is None else read_count(length)
        if self._missing > (getattr(self._limits, body.limit) if body else self._skipped):
            raise RemoteError(413, f"a body of {length} bytes")
        values: dict[str, Any] = {}
        error = None
        try:
            if kind is None:
                raise RemoteError(405, f"method {method!r}")
            if body is not None and length is None:
                raise RemoteError(400, "Content-Length is missing")
            values = read_values(kind.headers, headers, twice)
        except RemoteError as trouble:
            error = trouble.as_value()
        self._head = _Head(kind, values, error, lines)
        self.in_body = bool(self._missing)
        if not self.in_body:
            self._finish(self._head)

    def _finish(self, head: _Head) -> None:
        """Append the complete message, or its error."""
        body, self._parts, self._head, self.in_body = b"".join(self._parts), [], None, False
        error, kind = head.error, head.kind
        if error is None and kind is not None:
            try:
                if kind.body is not None:
                    head.values[kind.body.attribute] = kind.body.read(body)
                self.found.append(kind(**head.values))
            except RemoteError as trouble:
                error = trouble
        if error is not None:
            error.cseq = number(head.lines)
            self.found.append(error.as_value())


def decode(sender: Sender, data: bytes, limits: Limits = DEFAULTS) -> Bcp2Message:
    """Return the message in `data`. Raises ValueError unless it is exactly one."""
    parser = StrictParser(sender, limits)
    end = parser.block(data, 0)
    found = parser.found[0] if parser.found else None
    if end != len(data) or found is None or isinstance(found, RemoteError):
        raise ValueError(f"not one message: {data!r}")
    return found


def number(lines: list[bytes]) -> int | None:
    """Return the CSeq in the lines of a block, if exactly one can be read."""
    found = [line for line in lines[1:] if line[:5].lower() == b"cseq:"]
    if len(found) != 1:
        return None
    try:
        return read_count(found[0][5:].decode("latin-1").strip(" \t"))
    except RemoteError:
        return None


def _part(data: bytes, at: int, end: int) -> Piece:
    """Return `data[at:end]`; a large part is not copied, a small one does not keep all of `data` alive."""
    if end - at == len(data) or end - at < LARGE_PART:
        return data[at:end]
    return memoryview(data)[at:end]
