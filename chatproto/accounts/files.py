"""Read files that an operator edits while the server runs, again after each change."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from chatproto.net.file_reading import PIPE_WAIT, read_file
from chatproto.net.private_files import ROOT, locked_folder, make_private, stamp
from chatproto.wire.bcp2_common import read_key
from chatproto.wire.errors import RemoteError

T = TypeVar("T")
MOST_BYTES = 8 * 1024 * 1024
"""Maximum bytes of the file of `--allow-keys`."""


class AccountTrouble(Exception):
    """Password or key file cannot be read or used; the text is one sentence for the operator."""


def read(path: Path, most: int, others: int) -> str:
    """Return the text of a file of at most `most` bytes; remove the permission bits `others` from it.

    Raises AccountTrouble, also if these bits are set and cannot be removed.
    """
    try:
        make_private(path, others)
        data = read_file(path, most + 1, PIPE_WAIT)
        text = data.decode()
    except OSError as error:
        raise AccountTrouble(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AccountTrouble(
            f"cannot read {path}: it is not UTF-8 text, save it as UTF-8"
        ) from None
    if len(data) > most:
        raise AccountTrouble(f"{path} is too large: at most {most} bytes are read")
    return text


def read_allowed(text: str, where: str = "keys") -> frozenset[str]:
    """Return the keys in `text`, one per line; a `#` begins a comment.

    Raises AccountTrouble for a line that is no key: it may be a mistyped one.
    """
    keys = set()
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("#")[0].strip()
        if key:
            try:
                keys.add(read_key(key))
            except RemoteError:
                raise AccountTrouble(
                    f"{where}, line {number}: not a key: write sha256: and its 52 characters"
                ) from None
    return frozenset(keys)


def load_allowed(path: Path) -> frozenset[str]:
    """Load the keys in the file `path`. Raises AccountTrouble."""
    return read_allowed(read(path, MOST_BYTES, stat.S_IWOTH), str(path))


class Reread(Generic[T]):
    """Value loaded from a file, and loaded again after each change of the file.

    If a changed file cannot be read, the last good value remains valid and `complain` is called once.

    Raises: whatever `load` raises, on the first load only.
    """

    def __init__(
        self, path: Path, load: Callable[[Path], T], complain: Callable[[str], None]
    ) -> None:
        self.path = path
        self.complain = complain
        self.generation = 0
        """Number of times that a changed file was loaded."""
        self._load = load
        self._seen = stamp(path)
        self._value = load(path)

    def value(self) -> T:
        """Return the current value; the file is read again if it has changed."""
        if stamp(self.path) != self._seen:
            try:
                self.read_again()
            except AccountTrouble as trouble:
                self.complain(str(trouble))
        return self._value

    def read_again(self) -> None:
        """Read the file now. Raises AccountTrouble; then the previous content still applies."""
        self._seen = stamp(self.path)
        try:
            self._value = self._load(self.path)
        except AccountTrouble as trouble:
            raise AccountTrouble(f"{trouble}: its previous content still applies") from None
        self.generation += 1


def write(path: Path, text: str) -> None:
    """Replace the content of `path` by `text` atomically.

    An existing file keeps its owner and mode. A new file has mode 0600; if root creates it, it belongs
    to the owner of the folder, so that a server that runs as that user can read it.

    Raises: AccountTrouble.
    """
    path = path.resolve()
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if path.exists():
                former = path.stat()
                os.fchown(made, former.st_uid, former.st_gid)
                os.fchmod(made, former.st_mode & 0o777)
            elif os.geteuid() == ROOT:
                folder = path.parent.stat()
                os.fchown(made, folder.st_uid, folder.st_gid)
            os.fsync(made)
        new.replace(path)
    except OSError as error:
        raise AccountTrouble(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lock the folder of `path` while the `with` block runs; other programs that use `alone` wait.

    Raises AccountTrouble.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked_folder(path.resolve().parent))
        except OSError as error:
            raise AccountTrouble(f"cannot write {path}: {error.strerror}") from None
        yield
