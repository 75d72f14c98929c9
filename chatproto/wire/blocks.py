"""Read blocks of headers: a start line, header lines and an empty line.

Every message begins with such a block. All dialects share these functions; a `Policy` says how far a
block may differ from the form that we write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import Limits

if TYPE_CHECKING:
    from chatproto.wire.classic import Header

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""Characters that are refused in values: C0 except the tab, DEL and C1."""
BAD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Bytes that are refused in a strict block: C0 except the tab, and DEL, and therefore a bare CR."""
BINARY = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
"""Bytes that are refused in a lenient block."""
METHOD = re.compile(r"[A-Z]{1,32}")
NAME = re.compile(r"[!-9;-~]+")


class Policy(Enum):
    """Strictness in reading a block."""

    STRICT = auto()
    """BCP/2 (PROTOCOL.md section 1): CRLF, no empty line before a block, header names are tokens."""
    LENIENT = auto()
    """Classic requests (section 2): LF or CRLF, empty lines before a block, blanks around names."""
    LOOSE = auto()
    """Course programs (docs/dialects.md): lines that are not headers are skipped, and the first of two
    equal headers counts.
    """


class BlockParser:
    """Collect the lines of one block after another, strict or lenient.

    Stores at most `limits.line`, `limits.headers` and `limits.header_block`. After a RemoteError the
    stream cannot be read further.
    """

    __slots__ = ("_limits", "_strict", "lines", "size")

    def __init__(self, limits: Limits, policy: Policy) -> None:
        self.lines: list[bytes] = []
        """Lines of the unfinished block, without their line ends."""
        self.size = 0
        """Size of these lines in bytes, counting two for each line end."""
        self._limits = limits
        self._strict = policy is Policy.STRICT

    @property
    def longest(self) -> int:
        """Return the largest size in bytes of the next line."""
        room = self._limits.header_block - self.size
        return min(self._limits.line, max(0, room - 2) if self._strict else room)

    def add(self, line: bytes) -> list[bytes] | None:
        """Add the next line, without its line end; return the lines of the block that it completes.

        Raises: RemoteError: 413 if a limit is exceeded; if strict, 400 for control characters and for
        an empty line before a block.
        """
        self.check(line)
        if line:
            if len(self.lines) > self._limits.headers:
                raise RemoteError(413, f"more than {self._limits.headers} headers")
            self.lines.append(line)
            self.size += len(line) + 2
            return None
        if self.lines:
            return self.take()
        if self._strict:
            raise RemoteError(400, "an empty line before a message")
        return None

    def check(self, line: bytes) -> None:
        """Check `line`, which may be incomplete. Raises the errors of `add`."""
        most = self.longest
        if self._strict and BAD.search(line, 0, most + 1):
            raise RemoteError(400, "a control character, or a line end that is not CRLF")
        if len(line) > most:
            raise RemoteError(413, f"a line of more than {most} bytes")

    def take(self) -> list[bytes]:
        """Return the collected lines, and start a new block."""
        lines, self.lines, self.size = self.lines, [], 0
        return lines


def read_start(lines: list[bytes]) -> tuple[str, list[str]]:
    """Decode a strict block; return its method and its header lines. Raises RemoteError 400."""
    try:
        method, *rest = [line.decode() for line in lines]
    except UnicodeDecodeError:
        raise RemoteError(400, "not UTF-8") from None
    if METHOD.fullmatch(method) is None:
        raise RemoteError(400, f"no method: {method[:40]!r}")
    return method, rest


def read_headers(lines: Iterable[str], policy: Policy) -> tuple[dict[str, str], set[str]]:
    """Read header lines.

    Returns: the values by lower-cased name, the first one of a repeated name, and the repeated names.
    Raises: RemoteError: 400 for a line that is not a header, unless `policy` is LOOSE.
    """
    headers: dict[str, str] = {}
    twice: set[str] = set()
    for line in lines:
        name, colon, value = line.partition(":")
        if policy is Policy.STRICT:
            if not colon or NAME.fullmatch(name) is None or CONTROL.search(value):
                raise RemoteError(400, f"no header: {line[:40]!r}")
            value = value.strip(" \t")
        elif policy is Policy.LENIENT:
            if not colon:
                raise RemoteError(400, f"no header: {line[:40]!r}")
            name, value = name.rstrip(" \t"), value.strip(" \t")
        elif colon:
            name, value = name.strip(), value.strip()
        else:
            continue
        key = name.lower()
        if key in headers:
            twice.add(key)
        else:
            headers[key] = value
    return headers, twice


def read_values(
    wanted: Iterable[Header], headers: dict[str, str], twice: set[str]
) -> dict[str, Any]:
    """Return the values of the headers in `wanted` by attribute; other headers are ignored.

    Raises: RemoteError: 400 for a header that is missing, repeated or malformed.
    """
    values: dict[str, Any] = {}
    for header in wanted:
        name = header.name.lower()
        text = headers.get(name)
        if name in twice:
            raise RemoteError(400, f"{header.name} twice")
        if text is not None:
            values[header.attribute] = header.read(text)
        elif header.needed:
            raise RemoteError(400, f"{header.name} is missing")
    return values
