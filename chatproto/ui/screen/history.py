"""Store the lines that the user typed in a private file, for the next start."""

from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path
from typing import TextIO

from chatproto.net.file_reading import read_file

KEPT = 1000
"""Number of stored lines."""
LONGEST = 4096
"""Largest number of characters of a stored line; a longer one, such as a paste, is not stored."""
MOST_BYTES = 16 * 1024 * 1024
"""Largest number of bytes of the file that are read."""
_TOO_MANY = 2 * KEPT


class TypedHistory:
    """History of typed lines, the oldest first.

    `path`: a file that only its owner can read, a JSON string per line; None keeps the history in
    memory only. A file that cannot be read or written does not prevent a line: it is left unchanged.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> list[str]:
        """Return the lines of earlier starts; cut a file that has grown too long."""
        if self._path is None:
            return []
        kept: deque[str] = deque(maxlen=KEPT)
        count = 0
        try:
            found = read_file(self._path, MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        for written in found.split("\n"):
            count += 1
            text = _text(written)
            if text:
                kept.append(text)
        if count > _TOO_MANY:
            self._write(list(kept))
        return list(kept)

    def add(self, text: str) -> None:
        """Store `text`."""
        if self._path is None or not text.strip() or len(text) > LONGEST:
            return
        try:
            with _open(self._path, os.O_APPEND) as file:
                file.write(f"{json.dumps(text)}\n")
        except OSError:
            self._path = None

    def _write(self, lines: list[str]) -> None:
        assert self._path is not None
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            with _open(fresh, os.O_TRUNC) as file:
                file.writelines(f"{json.dumps(line)}\n" for line in lines)
            fresh.replace(self._path)
        except OSError:
            self._path = None


def _open(path: Path, flags: int) -> TextIO:
    # Without blocking: a pipe without a reader is refused.
    flags |= os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    return os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8")


def _text(written: str) -> str:
    try:
        text = json.loads(written)
    except (ValueError, RecursionError):
        return ""
    return text if isinstance(text, str) and len(text) <= LONGEST else ""
