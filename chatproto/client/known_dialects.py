"""Remember the dialect that worked in a plain-text conversation with a contact."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from chatproto.client.line_file import LineFile
from chatproto.wire.dialects import DIALECTS

MOST = 1000
"""Most remembered contacts; the oldest is removed."""
MOST_BYTES = 256 * 1024
"""Most bytes that are read from the file."""


class KnownDialects:
    """Dialects by contact, an id or `host:port`; stored in the file `path`, or not at all (None).

    The file has one line `contact dialect` for each.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = LineFile(path, "dialects", MOST_BYTES)
        self._known: OrderedDict[str, str] = OrderedDict()
        for line in self._file.read():
            contact, _, name = line.partition(" ")
            if name in DIALECTS and len(self._known) < MOST:
                self._known[contact] = name

    def get(self, contact: str) -> str:
        """Return the name of the dialect that worked with `contact`; empty if none is known."""
        return self._known.get(contact, "")

    def worked(self, contact: str, dialect: str) -> None:
        """Store `dialect`, in which both ends sent messages, for `contact`."""
        if self._known.get(contact) == dialect or not contact or " " in contact:
            return
        self._known[contact] = dialect
        self._known.move_to_end(contact)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        self._file.write(f"{contact} {name}" for contact, name in self._known.items())
