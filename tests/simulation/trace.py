"""Everything that happened in a run, in order: two runs of one seed have the same, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32


class Trace:
    """Kept as it came, and made text only when somebody wants to read it."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.entries: list[tuple[float, str, str, tuple[Any, ...]]] = []

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, who: str, what: str, *details: Any) -> None:
        """`who` did `what`."""
        self.entries.append((self._seconds(), who, what, details))

    def lines(self) -> list[str]:
        """One line an entry; of bytes their number and sum."""
        return [
            " ".join([f"{at:10.4f} {who:<8} {what}", *map(_shown, details)])
            for at, who, what, details in self.entries
        ]


def _shown(detail: Any) -> str:
    if isinstance(detail, bytes):
        return f"{len(detail)} bytes {crc32(detail):08x}"
    if isinstance(detail, float):
        return f"{detail:.4f}"
    return str(detail)
