"""Folder of one client, locked while in use, so that two programs never share it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from chatproto.net.private_files import check_owner, make_private_folder
from chatproto.wire.reasons import CodedError, Reason


class HomeTrouble(CodedError):
    """The folder cannot be used; the text is one sentence for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.HOME_TROUBLE)


class HomeTaken(HomeTrouble):
    """Another program uses the folder."""


class Home:
    """A folder of mode 0700, created if needed, with a lock that the process holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Create the folder and lock it. Raises HomeTrouble."""
        try:
            make_private_folder(self.path)
            check_owner(self.path / "lock")
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeTrouble(f"cannot use {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise HomeTaken(
                f"another chatclient uses {self.path}: end it, or choose another --id or --home"
            ) from None
        self._lock = lock

    def close(self) -> None:
        """Release the lock."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)
