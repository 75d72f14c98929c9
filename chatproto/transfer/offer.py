"""Offer of a file, or of a folder as the list of its files; all names in it are safe."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from chatproto.transfer.names import safe_name, safe_paths
from chatproto.wire import bcp2_files as wire
from chatproto.wire.bcp2_files import FOLDER, Listed
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import value_class

LISTED = 64
"""Bytes that a file in a list counts besides its path."""


@value_class
class FileOffer:
    """A file of `size` bytes; `modified`: a moment as on the wire; `type`: its media type."""

    name: str
    size: int
    modified: str
    type: str = "application/octet-stream"
    files: ClassVar[tuple[Listed, ...]] = ()
    """Empty: an offer of one file has no list."""


@value_class
class FolderOffer:
    """A folder: `(size, path)` for each of its files, and `modified` of the newest."""

    name: str
    modified: str
    files: tuple[Listed, ...]
    type: ClassVar[str] = FOLDER
    """Type on the wire."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size for size, _ in self.files)


AnyOffer = FileOffer | FolderOffer


def to_wire(id: int, offer: AnyOffer, hashes: tuple[str, ...] = ()) -> wire.Offer:
    """The message that offers it; `hashes`: functions besides SHA-256 that may prove it."""
    return wire.Offer(id, offer.name, offer.size, offer.modified, offer.type, offer.files, hashes)


def from_wire(message: wire.Offer) -> AnyOffer:
    """Read an offer from the wire, and make its names safe.

    Raises: RemoteError: 400 for a file with a list, or for sizes that do not add up.
    """
    if message.type != FOLDER:
        if message.files:
            raise RemoteError(400, "a file with a list of files")
        return FileOffer(safe_name(message.name), message.size, message.modified, message.type)
    if message.size != sum(size for size, _ in message.files):
        raise RemoteError(400, "the sizes of the files are not the size of the folder")
    return FolderOffer(safe_name(message.name), message.modified, safe_files(message.files))


def safe_files(files: tuple[Listed, ...]) -> tuple[Listed, ...]:
    """The same list with safe paths."""
    paths = safe_paths(path for _, path in files)
    return tuple((size, "/".join(path)) for (size, _), path in zip(files, paths, strict=True))


def list_bytes(files: tuple[Listed, ...]) -> int:
    """Return about how many bytes of memory a list of files takes."""
    return sum(len(path) for _, path in files) + LISTED * len(files)


def same_content(one: AnyOffer, other: AnyOffer) -> bool:
    """Return True if a part of `one` may be the beginning of `other`."""
    return one.name == other.name and one.type == other.type and one.files == other.files


def written_date(nanoseconds: int) -> str:
    """A moment since the epoch as RFC 3339 in UTC; one that the calendar lacks is the epoch itself."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment, rest = datetime.fromtimestamp(0, UTC), 0
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest:09d}Z"
