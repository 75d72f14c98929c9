"""Flush a received file to the disk while more data arrive."""

from __future__ import annotations

import os
from threading import Thread

EVERY = 32 * 1024 * 1024
"""Bytes of a file between two flushes; the rest is flushed before the file is renamed."""


class WriteBack:
    """Flush the data of a file in a thread of its own, one flush at a time.

    Linux reports a failed write-back only once. The error is stored here and raised by `wait`, because
    another flush of the same file would succeed although the data are lost.
    """

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._error: OSError | None = None
        self._unflushed = 0

    def wrote(self, file: int, count: int) -> None:
        """Count `count` bytes written to `file`, a descriptor, which may be closed afterwards.

        Starts a flush if there are enough and none is running. Raises OSError if one has failed.
        """
        self._unflushed += count
        if self._error is not None:
            raise self._error
        if self._unflushed >= EVERY and not (self._thread and self._thread.is_alive()):
            self._unflushed = 0
            # Daemon thread: a disk that hangs does not delay the end of the program.
            self._thread = Thread(target=self._flush, args=(os.dup(file),), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait for the running flush. Raises OSError if it or an earlier one has failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _flush(self, file: int) -> None:
        try:
            os.fdatasync(file)
        except OSError as error:
            self._error = error
        finally:
            os.close(file)
