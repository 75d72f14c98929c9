"""Split raw text into its message and farewell, and at character boundaries."""

from __future__ import annotations

from chatproto.wire.dialects import CRLF, LOBBY, RAW, Dialect

_COMMANDS = ("QUIT", "/quit")
"""Farewells that are one even as the last line of a longer text; the words of row raw are not."""


def parted(text: str, dialect: Dialect, farewells: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Split a raw `text` into its message and the farewell at its end; each may be empty.

    `farewells`: words that end a talk without an opener besides those of the row, in lower case.
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
        # Without a line end before it, it is one only if its own blank line follows.
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
