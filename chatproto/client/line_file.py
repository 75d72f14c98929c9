"""Store a few lines of text in a private file; a failure is logged, and only the memory is lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from twisted.logger import Logger

from chatproto.identity.files import write_secret
from chatproto.net.file_reading import read_file

log = Logger()


class LineFile:
    """Lines stored in the file `path` (mode 0600), or not at all (None).

    Args: what: noun for the lines in log messages, such as `rooms`. most: most bytes that are read.
    """

    def __init__(self, path: Path | None, what: str, most: int) -> None:
        self._path = path
        self._what = what
        self._most = most

    def read(self) -> list[str]:
        """Return the lines without their ends; none if there is no file, or it cannot be read."""
        if self._path is None:
            return []
        try:
            return read_file(self._path, self._most).decode("utf-8", "replace").split("\n")
        except FileNotFoundError:
            pass
        except OSError as error:
            log.error("{what} cannot be read: {error}", what=self._what, error=error)
        return []

    def write(self, lines: Iterable[str]) -> None:
        """Replace the file with `lines`."""
        if self._path is None:
            return
        try:
            write_secret(self._path, "".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            log.error("{what} cannot be kept: {error}", what=self._what, error=error)
