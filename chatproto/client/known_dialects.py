"""Remember the dialect in which a talk in plain text with somebody worked."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from twisted.logger import Logger

from chatproto.identity.files import write_secret
from chatproto.wire.dialects import DIALECTS

log = Logger()

MOST = 1000
"""Contacts that are remembered; the oldest goes."""
MOST_BYTES = 256 * 1024
"""Bytes of the file that are read."""


class KnownDialects:
    """Dialects by contact, an id or `host:port`; kept in the file `path`, or not at all (None).

    The file has a line `contact dialect` for each. A file that cannot be read or written is logged and
    costs nothing but the memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: OrderedDict[str, str] = OrderedDict()
        if path is not None:
            self._read(path)

    def get(self, contact: str) -> str:
        """Return the name of the dialect that worked with `contact`; empty if none is known."""
        return self._known.get(contact, "")

    def worked(self, contact: str, dialect: str) -> None:
        """A talk with `contact` in `dialect` went both ways."""
        if self._known.get(contact) == dialect or not contact or " " in contact:
            return
        self._known[contact] = dialect
        self._known.move_to_end(contact)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        if self._path is not None:
            lines = "".join(f"{contact} {name}\n" for contact, name in self._known.items())
            try:
                write_secret(self._path, lines.encode())
            except OSError as error:
                log.error("dialects cannot be kept: {error}", error=error)

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                text = file.read(MOST_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("dialects cannot be read: {error}", error=error)
            return
        for line in text.splitlines():
            contact, _, name = line.partition(" ")
            if name in DIALECTS and len(self._known) < MOST:
                self._known[contact] = name
