"""Files that an operator edits while the server runs: read again when they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class AccountTrouble(Exception):
    """A file cannot be read or used; its text is one sentence for a person."""


def read(path: Path, most: int) -> str:
    """The text of a file of at most `most` bytes. Raises AccountTrouble."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
        text = data.decode()
    except OSError as error:
        raise AccountTrouble(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AccountTrouble(f"cannot read {path}: it is not UTF-8 text") from None
    if len(data) > most:
        raise AccountTrouble(f"{path} has more than {most} bytes")
    return text


class Reread(Generic[T]):
    """What `load` makes of the file `path`, read now and again when it has changed.

    A change that cannot be read is told to `complain`, once, and what was known before holds: nobody
    is let in or locked out by half a file. Raises what `load` raises, at first.
    """

    def __init__(
        self, path: Path, load: Callable[[Path], T], complain: Callable[[str], None]
    ) -> None:
        self.path = path
        self.complain = complain
        self._load = load
        self._seen = _stamp(path)
        self._value = load(path)

    def value(self) -> T:
        """It as it stands now."""
        self.changed()
        return self._value

    def changed(self) -> bool:
        """Whether there was something new since the last time."""
        stamp = _stamp(self.path)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self._value = self._load(self.path)
        except AccountTrouble as trouble:
            self.complain(f"{trouble}; what it said before still holds")
            return False
        return True


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
