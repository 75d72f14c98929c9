"""Find files and folders to send, and read them as one stream.

Every method blocks on the disk and runs in a thread, one at a time (`threads.py`).
"""

from __future__ import annotations

import errno
import mimetypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from chatproto.transfer.hashes import Hasher
from chatproto.transfer.names import safe_name
from chatproto.transfer.offer import FileOffer, folder_offer, safe_files, written_date
from chatproto.wire.bcp2_files import OFFER_FILES, Piece, write_files
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class

HASHED = 1024 * 1024
"""Bytes per read of data that are only hashed."""
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
NO_NAMES = {"", ".."}
SECRETS = ("key.pem", "known_peers", "log.sqlite", "dialects", "chatclient.log")
"""Prefixes of the names of files in the home folder that are never sent."""
RECORDS = "transfers"
"""Folder with the records of transfers in the home folder."""

Stamp = tuple[int, int]
"""Size in bytes and modification time in nanoseconds, compared to notice changes of a file."""


class SourceTrouble(CodedError):
    """A path cannot be sent; the text is one sentence for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.FILE_TROUBLE)


class SourceChanged(Exception):
    """The source has changed since it was offered."""


@value_class
class Found:
    """File or folder that was found at `path`, with the offer to make of it.

    `parts`: for a folder, the path of each file below it, in the offer's order. `stamps`: of each file,
    to notice changes. `left_out`: number of links, devices and other special files, which are not sent.
    """

    path: str
    offer: FileOffer
    stamps: tuple[Stamp, ...]
    parts: tuple[str, ...] = ()
    left_out: int = 0


@value_class
class Pieces:
    """Next pieces of the stream; `digest`: hash of the whole if they reach its end, or ""."""

    pieces: tuple[Piece, ...]
    digest: str = ""


def find(path: Path, limits: ClientLimits, home: Path | None = None) -> Found:
    """Examine `path`, a file or a folder, to offer it.

    A link given as `path` is followed; links inside a folder are not.

    Args: home: home folder of this program, whose key, log and records are never sent.
    Raises: SourceTrouble: missing, unreadable, neither file nor folder, a kernel file without a size,
    more files or folders than an offer may list, or a secret of `home`.
    """
    try:
        real = path.resolve(strict=True)
        if home is not None:
            _check_home(path, real, home.resolve())
        status = real.stat()
        if stat.S_ISDIR(status.st_mode):
            return _find_folder(path, real, status, limits)
        if not stat.S_ISREG(status.st_mode):
            raise SourceTrouble(f"{path} is neither a file nor a folder")
        _check_size(path, real, status.st_size)
    except OSError as error:
        raise SourceTrouble(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:  # a NUL; a loop of symbolic links
        raise SourceTrouble(f"cannot read {path}: {error}") from None
    media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    offer = FileOffer(
        safe_name(real.name if path.name in NO_NAMES else path.name),
        status.st_size,
        written_date(status.st_mtime_ns),
        media,
    )
    return Found(str(real), offer, (_stamp(status),))


def _check_size(path: Path, real: Path, size: int) -> None:
    """Raise OSError if `real` cannot be read, SourceTrouble if it has data but size 0."""
    file = os.open(real, OPEN)
    try:
        if not size and os.read(file, 1):
            raise SourceTrouble(f"{path} does not tell its size: send a copy of it")
    finally:
        os.close(file)


def _check_home(path: Path, real: Path, home: Path) -> None:
    """Raise SourceTrouble if `real` is a secret of `home`, or a folder that contains one."""
    records = home / RECORDS
    secret = real.parent == home and real.name.startswith(SECRETS)
    if secret or real.is_relative_to(records) or home.is_relative_to(real):
        holds = "is" if secret else "holds"
        raise SourceTrouble(f"{path} is not sent: it {holds} what {home} keeps secret")


def _find_folder(path: Path, real: Path, status: os.stat_result, limits: ClientLimits) -> Found:
    stamps, parts, left_out = list[Stamp](), list[str](), 0
    for part, found in _walk(str(real), ""):
        if not stat.S_ISREG(found.st_mode):
            left_out += 1
            continue
        if len(parts) == OFFER_FILES:
            raise SourceTrouble(f"{path} has more than {OFFER_FILES} files")
        parts.append(part)
        stamps.append(_stamp(found))
    files = safe_files(tuple((size, part) for (size, _), part in zip(stamps, parts, strict=True)))
    try:
        fits = len(write_files(files)) <= limits.offer
    except LocalError:  # nested too deeply for the receiver
        fits = False
    if not fits:
        raise SourceTrouble(f"the names of the files in {path} are too long for one offer")
    newest = max([modified for _, modified in stamps], default=status.st_mtime_ns)
    offer = folder_offer(
        safe_name(real.name if path.name in NO_NAMES else path.name), written_date(newest), files
    )
    return Found(str(real), offer, tuple(stamps), tuple(parts), left_out)


def _walk(folder: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each entry below `folder` that is no folder, in the order of names. Raises OSError."""
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", entry.stat(follow_symlinks=False)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns


class FileStream:
    """Contents of `found` as one stream, with the hash of the data read so far. Must be closed."""

    def __init__(self, found: Found, chunk: int) -> None:
        self._found = found
        self._chunk = chunk
        self._paths = [os.path.join(found.path, part) for part in found.parts] or (  # noqa: PTH118
            [found.path] if not found.offer.is_folder else []
        )
        self._file: int | None = None
        self._index = 0  # of the file that is open or next
        self._left = 0  # bytes left in that file

    def begin(self, offset: int, hash: str, size: int) -> tuple[str, Pieces]:
        """Seek to `offset`; return the `hash` of the data before it, and the next `size` bytes.

        Raises: SourceChanged, SourceTrouble.
        """
        self.close()
        self._hash, self._index, self._left = Hasher(hash), 0, 0
        while offset:
            data = self._read(min(offset, HASHED))
            if not data:
                raise SourceChanged
            self._hash.update(data)
            offset -= len(data)
        return self._hash.digest(), self.read(size)

    def read(self, size: int) -> Pieces:
        """Return the next `size` bytes, fewer at the end, in pieces of one chunk. Raises as `begin`."""
        blocks = list[bytes]()
        while size and (data := self._read(size)):
            blocks.append(data)
            size -= len(data)
        # A single block is not copied, and is hashed in one call: each release of the GIL costs time.
        block = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        self._hash.update(block)
        view, chunk = memoryview(block), self._chunk
        pieces = tuple(view[at : at + chunk] for at in range(0, len(block), chunk))
        if self._left or self._index < len(self._paths):
            return Pieces(pieces)
        return Pieces(pieces, self._hash.digest())

    def close(self) -> None:
        """Close the file that is open."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _read(self, size: int) -> bytes:
        """Return at most `size` bytes of the current file, b"" at the end of the last one."""
        data = b""
        while not data and self._index < len(self._paths):
            file = self._open() if self._file is None else self._file
            try:
                data = os.read(file, min(size, self._left))
            except OSError as error:
                raise self._trouble(error) from None
            self._check()  # before any of the data are used
            self._left -= len(data)
            if not self._left:
                self.close()
                self._index += 1
            elif not data:
                raise SourceChanged
        return data

    def _open(self) -> int:
        path = self._paths[self._index]
        try:
            self._file = os.open(path, OPEN)
        except OSError as error:
            if self._found.parts and error.errno in GONE:
                raise SourceChanged from None  # the folder has other files now
            raise self._trouble(error) from None
        self._left = self._found.stamps[self._index][0]
        self._check()
        return self._file

    def _check(self) -> None:
        """Check that the open file is still the one offered. Raises SourceChanged."""
        if self._file is not None:
            status = os.fstat(self._file)
            stamp = status.st_size, status.st_mtime_ns
            if stamp != self._found.stamps[self._index] or not stat.S_ISREG(status.st_mode):
                raise SourceChanged

    def _trouble(self, error: OSError) -> SourceTrouble:
        return SourceTrouble(f"cannot read {self._paths[self._index]}: {error.strerror}")
