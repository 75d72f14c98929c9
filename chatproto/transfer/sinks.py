"""Write received data to `NAME.part` in the download folder, and rename it at the end.

Every method blocks on the disk and runs in a thread, one at a time (`threads.py`). Nothing outside
the download folder is opened, and no symbolic link in it is followed.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from chatproto.transfer.hashes import SHA_256, Hasher
from chatproto.transfer.names import PART, free_name
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.write_back import WriteBack
from chatproto.wire.bcp2_files import Piece
from chatproto.wire.reasons import DISK_LOST_DATA, CodedError, Reason
from chatproto.wire.values import value_class

HASHED = 1024 * 1024
"""Bytes per read of data that are only hashed."""
NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OLD = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FULL = {errno.ENOSPC, errno.EDQUOT}
SYNC_ALL = 64
"""Number of files above which all disks of the system are flushed once, instead of each file."""


class SinkTrouble(CodedError):
    """Received data cannot be stored; the text is one sentence for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.FILE_TROUBLE)


class DataLost(SinkTrouble):
    """The disk has lost written data; the part is removed, because reading it would still succeed."""


@value_class
class There:
    """Stored part of a transfer: its bytes, their hash, and the `path` if the file is complete."""

    offset: int
    digest: str
    path: str = ""


class Sink:
    """File or folder being received. Must be closed.

    `local`: name of an existing part, or "" for a new one; `begin` sets it.
    """

    def __init__(self, folder: Path, local: str = "") -> None:
        self.local = local
        self._folder = folder
        self._file: int | None = None
        self._index = 0  # of the entry that is open or next
        self._left = 0  # bytes missing in that entry
        self._offset = 0
        self._write_back = WriteBack()

    @property
    def part(self) -> Path:
        """Path of the unfinished file."""
        return self._folder / f"{self.local}{PART}"

    def begin(
        self,
        offer: FileOffer,
        hash: str = SHA_256,
        digest: str = "",
        anew: bool = False,
        chosen: Callable[[], None] = lambda: None,
    ) -> There:
        """Create or open the part for `offer`, and hash its data.

        Args: offer: may differ from the one before. hash: name of the hash function. digest: hash of the
        whole file, if known: the file may have been renamed just before a crash. anew: discard the stored
        data. chosen: called when the name is known, before a new file is created; raises OSError with the
        path that it cannot write.
        Raises: SinkTrouble, also if the disk has too little free space.
        """
        self._offer, self._is_folder, self._function = offer, offer.is_folder, hash
        self._entries: list[tuple[int, tuple[str, ...]]] = [(offer.size, ())]
        if self._is_folder:
            self._entries = [(size, tuple(path.split("/"))) for size, path in offer.files]
        try:
            self.close()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.local:
                self._unlink_twin()
            if digest and self.local and not anew and (there := self._named_before(digest)):
                return there
            if anew and self.local:
                self._remove()
            self._make(chosen)
            self._resume()
            self._check_room()
        except OSError as error:
            self.close()
            raise _trouble(error, self.part if self.local else self._folder) from None
        return There(self._offset, self._hash.digest())

    def write(self, pieces: tuple[Piece, ...], anew: bool = False) -> None:
        """Append `pieces` to the part, or replace its data if `anew`; they must not exceed the offered size.

        Raises SinkTrouble: call `begin` to find out which data are stored. DataLost: none are.
        """
        if anew:
            self.begin(self._offer, self._function, anew=True)
        try:
            # One large write: each system call releases the GIL, and has to wait to get it back.
            block = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._hash.update(block)
            rest = memoryview(block)
            while rest:
                if self._file is None:
                    self._open()
                assert self._file is not None
                file, count = self._file, os.write(self._file, rest[: self._left])
                try:
                    self._write_back.wrote(file, count)
                except OSError as error:
                    raise self._lost(error) from None
                self._advance(count)
                rest = rest[count:]
        except OSError as error:
            raise _trouble(error, self.part) from None

    def finish(self, digest: str) -> str:
        """Rename the part if it is complete; return its path, or "" if its hash is not `digest`.

        The data are flushed to the disk before. Raises SinkTrouble; DataLost if the flush fails.
        """
        if self._offset != self._offer.size or self._hash.digest() != digest:
            return ""
        try:
            self._open()
            self._shut()
            try:
                self._write_back.wait()
                self._flush()
            except OSError as error:
                raise self._lost(error) from None
            return self._rename()
        except OSError as error:
            raise _trouble(error, self.part) from None

    def discard(self) -> None:
        """Remove the part, if there is one. Raises SinkTrouble."""
        self.close()
        try:
            if self.local:
                self._remove()
        except OSError as error:
            raise _trouble(error, self.part) from None

    def close(self) -> None:
        """Close the open file; remove the part if the disk has lost some of its data."""
        if self._file is not None:
            self._shut()
        try:
            self._write_back.wait()
        except OSError as error:
            self._lost(error)

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _lost(self, error: OSError) -> DataLost:
        """Remove the part, whose data may be in memory only; return the error to raise."""
        self._shut()
        self._write_back = WriteBack()
        if self.local:
            try:
                self._remove()
            except OSError as trouble:
                error = trouble
        return DataLost(DISK_LOST_DATA(path=self.part, why=error.strerror))

    # Entries as one stream of bytes.

    def _open(self) -> None:
        """Open the next entry that is not empty, if any; create the empty ones before it."""
        while self._file is None and self._index < len(self._entries):
            self._left, components = self._entries[self._index]
            self._file = self._open_entry(f"{self.local}{PART}", components, NEW)
            os.ftruncate(self._file, 0)
            if not self._left:
                self._advance(0)

    def _advance(self, count: int) -> None:
        self._offset += count
        self._left -= count
        if not self._left:
            if self._entries[self._index][1]:
                self._shut()
            self._index += 1

    def _open_entry(self, root: str, components: tuple[str, ...], flags: int) -> int:
        """Open a regular file below `root`, or `root` itself, folder by folder. Raises OSError."""
        at = os.open(self._folder, DIRECTORY & ~os.O_NOFOLLOW)
        try:
            *folders, name = root, *components
            for folder in folders:
                if flags & os.O_CREAT:
                    _make_folder(folder, at)
                below = os.open(folder, DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            file = os.open(name, flags, 0o600, dir_fd=at)
        finally:
            os.close(at)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            os.close(file)
            raise OSError(errno.EEXIST, "something else has that name")
        return file

    def _resume(self) -> None:
        """Hash the stored data and seek to their end."""
        self._hash, self._index, self._left, self._offset = Hasher(self._function), 0, 0, 0
        while self._index < len(self._entries):
            self._left, components = self._entries[self._index]
            if self._file is None:
                try:
                    self._file = self._open_entry(f"{self.local}{PART}", components, OLD)
                except FileNotFoundError:
                    self._left = 0
                    return
            length = os.fstat(self._file).st_size
            if length > self._left:
                os.ftruncate(self._file, self._left)
            left = min(length, self._left)
            while left and (data := os.read(self._file, min(left, HASHED))):
                self._hash.update(data)
                self._offset += len(data)
                self._left -= len(data)
                left -= len(data)
            if self._left:
                return
            self._advance(0)

    # Names.

    def _taken(self, name: str) -> bool:
        return os.path.lexists(self._folder / name) or os.path.lexists(
            self._folder / f"{name}{PART}"
        )

    def _make(self, chosen: Callable[[], None]) -> None:
        """Open the known part, or create an empty one under a free name (`O_EXCL`)."""
        if self.local:
            self._tell(chosen)
            self._make_part(0)
        while not self.local:
            self.local = free_name(self._offer.name, self._taken)
            try:
                self._tell(chosen)
            except SinkTrouble:
                self.local = ""
                raise
            try:
                self._make_part(os.O_EXCL)
            except FileExistsError:
                self.local = ""
            except OSError as error:
                trouble = _trouble(error, self.part)
                self.local = ""  # no file was created: another folder may be chosen
                raise trouble from None

    def _tell(self, chosen: Callable[[], None]) -> None:
        """Call `chosen`. Raises SinkTrouble with the path that it cannot write, which is not the part's."""
        try:
            chosen()
        except OSError as error:
            raise SinkTrouble(f"cannot write {error.filename}: {error.strerror}") from None

    def _make_part(self, flags: int) -> None:
        if not self._is_folder:
            self._file = self._open_entry(f"{self.local}{PART}", (), NEW | flags)
        elif flags:
            self.part.mkdir(mode=0o700)
        else:
            _make_folder(str(self.part), None)
            os.close(os.open(self.part, DIRECTORY))

    def _remove(self) -> None:
        try:
            if stat.S_ISDIR(os.lstat(self.part).st_mode):
                shutil.rmtree(self.part)
            else:
                self.part.unlink()
        except FileNotFoundError:
            pass

    def _flush(self) -> None:
        """Flush the written data to the disk."""
        if len(self._entries) > SYNC_ALL:
            os.sync()
            return
        for _, components in self._entries:
            file = self._open_entry(f"{self.local}{PART}", components, OLD)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _rename(self) -> str:
        """Rename the part to its final name without replacing a file; return the path. Raises OSError."""
        part = self.part
        while True:
            self.local = free_name(self.local, lambda name: os.path.lexists(self._folder / name))
            final = self._folder / self.local
            try:
                if self._is_folder:
                    # At most replaces an empty folder that was created meanwhile.
                    part.rename(final)
                else:
                    _link(part, final)
                break
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                    raise
        at = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(at)
        finally:
            os.close(at)
        return str(final)

    def _unlink_twin(self) -> None:
        """Remove the part if it is the finished file: the program ended between link and unlink."""
        try:
            if os.path.samestat(os.lstat(self.part), os.lstat(self._folder / self.local)):
                self.part.unlink()
        except FileNotFoundError:
            pass

    def _named_before(self, digest: str) -> There | None:
        """Return the finished file under its own name, if it exists and its hash is right."""
        final = self._folder / self.local
        if os.path.lexists(self.part) or not os.path.lexists(final):
            return None
        whole = Hasher(self._function)
        try:
            for size, components in self._entries:
                file = self._open_entry(self.local, components, os.O_RDONLY | os.O_NOFOLLOW)
                with open(file, "rb", buffering=0) as opened:  # noqa: PTH123
                    if os.fstat(file).st_size != size:
                        return None
                    while data := opened.read(HASHED):
                        whole.update(data)
        except OSError:
            return None
        return There(self._offer.size, digest, str(final)) if whole.digest() == digest else None

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if self._offer.size - self._offset > free:
            self._shut()
            if not self._offset:
                self._remove()
                self.local = ""
            raise SinkTrouble(
                f"{self._offer.name} needs {self._offer.size - self._offset:,} bytes and"
                f" {self._folder} has {free:,} left"
            )


def _make_folder(name: str, at: int | None) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=at)
    except FileExistsError:
        pass


def _link(part: Path, final: Path) -> None:
    """Move by a hard link, which cannot replace a new file; rename where links are not supported."""
    try:
        os.link(part, final, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        part.rename(final)
    else:
        part.unlink()


def _trouble(error: OSError, part: Path) -> SinkTrouble:
    if error.errno in FULL:
        return SinkTrouble(f"the disk is full: what came so far is in {part}")
    return SinkTrouble(f"cannot write {part}: {error.strerror}")
