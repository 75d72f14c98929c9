"""BCP/2 on the wire: strict CRLF, and bodies of a known length (protocol section 1)."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any

from chatproto.wire.bcp2 import FROM_CLIENT, FROM_SERVER
from chatproto.wire.bcp2_common import Bcp2Message, read_count
from chatproto.wire.bcp2_peer import FROM_PEER
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.messages import Sender

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""What no value may hold: control characters but the tab, which is a blank."""
SAYS: dict[Sender, tuple[type[Bcp2Message], ...]] = {
    Sender.CLIENT: FROM_CLIENT,
    Sender.SERVER: FROM_SERVER,
    Sender.PEER: FROM_PEER,
}
"""Who may say what."""
_END = b"\r\n\r\n"


def encode(message: Bcp2Message) -> bytes:
    """`message` as bytes. Raises LocalError for a value that would be misread."""
    return _head(message) + _body(message)


def shown(message: Bcp2Message) -> str:
    """`message` on one line for a trace, without its body's text and without secrets."""
    head = _head(message, hide=True).decode()
    return " | ".join(line for line in head.split("\r\n") if line)


def _head(message: Bcp2Message, hide: bool = False) -> bytes:
    defaults = {field.name: field.default for field in fields(message)}
    lines = [message.method]
    for header in message.headers:
        value = getattr(message, header.attribute)
        if not header.needed and value == defaults.get(header.attribute, MISSING):
            continue
        text = header.write(value) if header.write else str(value)
        if CONTROL.search(text) or text != text.strip(" \t"):
            raise LocalError(400, f"cannot be sent: {text!r}")
        lines.append(f"{header.name}: {'…' if hide and header.secret else text}")
    if message.body is not None:
        lines.append(f"Content-Length: {len(_body(message))}")
    try:
        return "\r\n".join([*lines, "", ""]).encode()
    except UnicodeEncodeError:
        raise LocalError(400, "a value is not Unicode text") from None


def _body(message: Bcp2Message) -> bytes:
    if message.body is None:
        return b""
    try:
        return message.body.write(getattr(message, message.body.attribute))
    except UnicodeEncodeError:
        raise LocalError(400, "a text is not Unicode text") from None


class StrictDecoder:
    """Bytes in, messages out, of what `sender` may say.

    What is wrong with a message comes out in its place as a RemoteError, with the `cseq` that its
    answer repeats, and the next is read as if nothing had been. After what cannot be read on
    `closed` is true and nothing more is taken. Nothing is kept past a limit.
    """

    def __init__(self, sender: Sender, limits: Limits = DEFAULTS) -> None:
        self.closed = False
        self._limits = limits
        self._kinds = {kind.method: kind for kind in SAYS[sender]}
        self._most = (
            limits.body_to_server
            if sender is Sender.CLIENT
            else max(getattr(limits, kind.body.limit) for kind in SAYS[sender] if kind.body)
        )
        self._rest = b""
        self._head: tuple[str, dict[str, str]] | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    @property
    def waiting(self) -> str:
        """What has begun and is not whole: "block", "body" or "" for nothing."""
        return "body" if self._head is not None else "block" if self._rest else ""

    def feed(self, data: bytes) -> list[Bcp2Message | RemoteError]:
        """What `data` completes, in order."""
        found: list[Bcp2Message | RemoteError] = []
        at = 0
        if self._rest:
            data, self._rest = self._rest + data, b""
        while at < len(data) and not self.closed:
            try:
                at = self._body(data, at, found) if self._head else self._block(data, at, found)
            except RemoteError as error:
                found.append(error)
                self.closed = True
        return found

    def _block(self, data: bytes, at: int, found: list[Bcp2Message | RemoteError]) -> int:
        """Take a start line and its headers. Raises RemoteError for what cannot be read on."""
        limits = self._limits
        end = data.find(_END, at, at + limits.header_block)
        if end < 0:
            if len(data) - at >= limits.header_block:
                raise RemoteError(413, f"headers of more than {limits.header_block} bytes")
            self._rest = data[at:]
            last = self._rest.rsplit(b"\r\n", 1)[-1]
            if len(last) > limits.line:
                raise RemoteError(413, f"a line of more than {limits.line} bytes")
            return len(data)
        lines = data[at:end].split(b"\r\n")
        if max(map(len, lines)) > limits.line or len(lines) > limits.headers + 1:
            raise RemoteError(413, "a line too long or too many")
        if any(b"\n" in line or b"\r" in line for line in lines) or not lines[0]:
            raise RemoteError(400, "a line end that is not CRLF")
        method, headers = _headers(lines)
        length = headers.get("content-length")
        if length is None:
            found.append(self._read(method, headers, b""))
        else:
            self._missing = read_count(length)
            if self._missing > self._most:
                raise RemoteError(413, f"a body of {length} bytes")
            self._head = method, headers
            if not self._missing:
                self._finish(found)
        return end + len(_END)

    def _body(self, data: bytes, at: int, found: list[Bcp2Message | RemoteError]) -> int:
        part = data[at : at + self._missing]
        self._parts.append(part)
        self._missing -= len(part)
        if not self._missing:
            self._finish(found)
        return at + len(part)

    def _finish(self, found: list[Bcp2Message | RemoteError]) -> None:
        assert self._head is not None
        (method, headers), parts = self._head, self._parts
        self._head, self._parts = None, []
        found.append(self._read(method, headers, b"".join(parts)))

    def _read(self, method: str, headers: dict[str, str], body: bytes) -> Bcp2Message | RemoteError:
        try:
            return self._message(method, headers, body)
        except RemoteError as error:
            cseq = headers.get("cseq", "")
            if cseq.isascii() and cseq.isdigit() and len(cseq) <= 16:
                error.cseq = int(cseq)
            return error

    def _message(self, method: str, headers: dict[str, str], body: bytes) -> Bcp2Message:
        kind = self._kinds.get(method)
        if kind is None:
            raise RemoteError(405, f"method {method[:20]!r}")
        values: dict[str, Any] = {}
        for header in kind.headers:
            text = headers.get(header.name.lower())
            if text is not None:
                values[header.attribute] = header.read(text)
            elif header.needed:
                raise RemoteError(400, f"{header.name} is missing")
        if kind.body is not None:
            if "content-length" not in headers:
                raise RemoteError(400, "Content-Length is missing")
            if len(body) > getattr(self._limits, kind.body.limit):
                raise RemoteError(413, "a body too large")
            values[kind.body.attribute] = kind.body.read(body)
        return kind(**values)


def _headers(lines: list[bytes]) -> tuple[str, dict[str, str]]:
    """The method, and the values by lower-cased name. Raises RemoteError 400."""
    try:
        start, *rest = [line.decode() for line in lines]
    except UnicodeDecodeError:
        raise RemoteError(400, "not UTF-8") from None
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        key = name.lower()
        if not colon or CONTROL.search(line) or not name.strip() or name != name.strip():
            raise RemoteError(400, f"no header: {line[:40]!r}")
        if key in headers:
            raise RemoteError(400, f"{name} twice")
        headers[key] = value
    return start, headers
