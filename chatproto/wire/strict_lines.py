"""The lines of a strict block: the method, the headers, and their values (protocol section 1)."""

from __future__ import annotations

import re
from typing import Any

from chatproto.wire.bcp2_common import Bcp2Message, read_count
from chatproto.wire.errors import RemoteError

METHOD = re.compile(r"[A-Z]{1,32}")
NAME = re.compile(r"[!-9;-~]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""What no value may hold: C0 but the tab, DEL and C1."""


def number(lines: list[bytes]) -> int | None:
    """The CSeq in the lines of a block, if there is one and only one that can be read."""
    found = [line for line in lines[1:] if line[:5].lower() == b"cseq:"]
    if len(found) != 1:
        return None
    try:
        return read_count(found[0][5:].decode("latin-1").strip(" \t"))
    except RemoteError:
        return None


def read_lines(lines: list[bytes]) -> tuple[str, dict[str, str], set[str]]:
    """The method, the values by lower-cased name, and which name came twice. Raises RemoteError 400."""
    try:
        method, *rest = [line.decode() for line in lines]
    except UnicodeDecodeError:
        raise RemoteError(400, "not UTF-8") from None
    if METHOD.fullmatch(method) is None:
        raise RemoteError(400, f"no method: {method[:40]!r}")
    headers: dict[str, str] = {}
    twice: set[str] = set()
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or NAME.fullmatch(name) is None or CONTROL.search(value):
            raise RemoteError(400, f"no header: {line[:40]!r}")
        key = name.lower()
        if key in headers:
            twice.add(key)
        headers[key] = value.strip(" \t")
    return method, headers, twice


def read_values(
    kind: type[Bcp2Message], headers: dict[str, str], twice: set[str]
) -> dict[str, Any]:
    """The values of `kind`'s headers, by attribute. Raises RemoteError 400."""
    values: dict[str, Any] = {}
    for header in kind.headers:
        name = header.name.lower()
        text = headers.get(name)
        if name in twice:
            raise RemoteError(400, f"{header.name} twice")
        if text is not None:
            values[header.attribute] = header.read(text)
        elif header.needed:
            raise RemoteError(400, f"{header.name} is missing")
    return values
