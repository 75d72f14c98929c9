"""Files and folders that other users of the machine must not read, write or replace.

Every check raises `NotPrivate`, an OSError whose `strerror` is one clause for the user, so that it is
reported like any path that cannot be used.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatproto.net.paths import CREDENTIALS, what_is_in_the_way

OTHERS = stat.S_IRWXG | stat.S_IRWXO
WRITABLE = stat.S_IWGRP | stat.S_IWOTH
ROOT = 0


class NotPrivate(PermissionError):
    """A path that another user of the machine controls or can read."""

    def __init__(self, why: str, path: Path) -> None:
        super().__init__(errno.EACCES, why, str(path))


def stamp(path: Path) -> tuple[int, ...] | None:
    """Return values that change whenever the file does; None if it does not exist or cannot be
    examined.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold the lock of the folder `path`; other programs wait for it. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def check_owner(path: Path) -> None:
    """Refuse `path` if the file, or the link at `path`, belongs to another user than us or root.

    A path that does not exist is accepted. Raises NotPrivate, also for another user's broken link, or
    OSError if it cannot be examined.
    """
    try:
        for look in (path.lstat, path.stat):
            if look().st_uid not in (os.geteuid(), ROOT):
                raise NotPrivate("it belongs to another user: remove it, or use another path", path)
    except FileNotFoundError:
        pass


def check_file(path: Path) -> None:
    """Refuse `path` as `check_owner` does, and if it is anything but a regular file.

    Reading a pipe instead of a file would block for ever.
    """
    check_owner(path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def make_private_folder(path: Path) -> None:
    """Create the folder `path` for us alone, with its parents, whatever the umask is.

    An existing folder must be ours; write permissions of others are removed. Raises NotPrivate, or
    OSError if it cannot be created.
    """
    there = what_is_in_the_way(path)
    if there is not None:
        what = "it" if there == path else str(there)
        raise NotADirectoryError(errno.ENOTDIR, f"{what} is not a folder", str(path))
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
    check_owner(path)
    mode = path.stat().st_mode
    if not mode & WRITABLE:
        return
    if mode & stat.S_ISVTX:
        raise NotPrivate("everybody may write there: use a folder of its own", path)
    path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def make_private(path: Path, others: int = OTHERS) -> None:
    """Remove the permission bits `others` from the file `path`.

    Only regular files are changed: a pipe or a terminal has no other reader. A credential of systemd is
    unchanged: root owns it, and its group bits stand for an access list that contains only us. Raises
    NotPrivate if the file is not ours to change, or OSError if it does not exist.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & others:
        return
    if _is_credential(path, found):
        return
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~others)
    except OSError:
        raise NotPrivate(_open_to_others(found.st_mode & others), path) from None


def _is_credential(path: Path, found: os.stat_result) -> bool:
    """Return True if root put `path` into $CREDENTIALS_DIRECTORY, and only its group can read it."""
    folder = os.environ.get(CREDENTIALS)
    if not folder or path.resolve().parent != Path(folder).resolve():
        return False
    about = Path(folder).stat()
    private = not found.st_mode & (stat.S_IRWXO | WRITABLE) and not about.st_mode & WRITABLE
    return private and found.st_uid == about.st_uid == ROOT


def _open_to_others(mode: int) -> str:
    what = "write" if mode & WRITABLE else "read"
    return f"other users may {what} it: make it private with chmod go-rwx"
