"""Offer of a file, or of a folder as the list of its files; all names in it are safe."""

from __future__ import annotations

from datetime import UTC, datetime

from chatproto.transfer.names import safe_name, safe_paths
from chatproto.wire import bcp2_files as wire
from chatproto.wire.bcp2_files import FOLDER, Listed
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import value_class

LISTED = 64
"""Bytes of memory that a file in a list is estimated to take besides its path."""


@value_class
class FileOffer:
    """A file or a folder of `size` bytes in all.

    `modified`: date of the newest file, as on the wire. `type`: media type, or `FOLDER`.
    `files`: for a folder, `(size, path)` of each file.
    """

    name: str
    size: int
    modified: str
    type: str = "application/octet-stream"
    files: tuple[Listed, ...] = ()

    @property
    def is_folder(self) -> bool:
        """True for a folder, which may be empty."""
        return self.type == FOLDER


def folder_offer(name: str, modified: str, files: tuple[Listed, ...]) -> FileOffer:
    """Return the offer of a folder with these files."""
    return FileOffer(name, sum(size for size, _ in files), modified, FOLDER, files)


def to_wire(id: int, offer: FileOffer, hashes: tuple[str, ...] = ()) -> wire.Offer:
    """Return the OFFER message; `hashes`: supported hash functions besides SHA-256."""
    return wire.Offer(id, offer.name, offer.size, offer.modified, offer.type, offer.files, hashes)


def from_wire(message: wire.Offer) -> FileOffer:
    """Read an offer from the wire, and make its names safe.

    Raises: RemoteError: 400 for a file with a list, or for sizes that do not add up.
    """
    name = safe_name(message.name)
    if message.type == FOLDER:
        offer = folder_offer(name, message.modified, safe_files(message.files))
        if offer.size != message.size:
            raise RemoteError(400, "the sizes of the files are not the size of the folder")
        return offer
    if message.files:
        raise RemoteError(400, "a file with a list of files")
    return FileOffer(name, message.size, message.modified, message.type)


def safe_files(files: tuple[Listed, ...]) -> tuple[Listed, ...]:
    """Return the list with safe paths."""
    paths = safe_paths(path for _, path in files)
    return tuple((size, "/".join(path)) for (size, _), path in zip(files, paths, strict=True))


def list_bytes(files: tuple[Listed, ...]) -> int:
    """Return about how many bytes of memory a list of files takes."""
    return sum(len(path) for _, path in files) + LISTED * len(files)


def same_content(one: FileOffer, other: FileOffer) -> bool:
    """Return True if a stored part of `one` may be resumed as `other`."""
    return one.name == other.name and one.type == other.type and one.files == other.files


def written_date(nanoseconds: int) -> str:
    """Return nanoseconds since the epoch as an RFC 3339 date in UTC; the epoch if it is out of range."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment, rest = datetime.fromtimestamp(0, UTC), 0
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest:09d}Z"
