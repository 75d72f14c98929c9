"""Store in the home which nickname belongs to which key: a line `nick key` for each, only ever added."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

from chatproto.net.file_reading import read_file
from chatproto.wire.bcp2_common import KEY

log = Logger()

NAME = "irc_nicks"
MOST_BYTES = 4 * 1024 * 1024
"""Largest number of bytes that are read."""


class NickFile:
    """The file `path` (mode 0600); None: nothing is stored. Errors are logged, and only the storage is
    lost.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._whole = True

    def read(self) -> list[tuple[str, str]]:
        """Return each nickname with its key, the oldest first."""
        if self._path is None:
            return []
        try:
            text = read_file(self._path, MOST_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("nicknames cannot be read: {error}", error=error)
            return []
        self._whole = not text or text.endswith("\n")
        pairs = (line.split(" ") for line in text.split("\n"))
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and KEY.fullmatch(pair[1])]

    def add(self, nick: str, key: str) -> None:
        """Store permanently that `nick` belongs to `key`."""
        if self._path is None:
            return
        # The last line may have been cut by a power failure.
        line = f"{'' if self._whole else chr(10)}{nick} {key}\n"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            flags |= os.O_NONBLOCK  # a pipe without a reader is refused
            with os.fdopen(os.open(self._path, flags, 0o600), "wb") as file:
                file.write(line.encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.error("a nickname cannot be kept: {error}", error=error)
        else:
            self._whole = True
