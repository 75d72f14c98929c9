"""Write a received file to its disk while more of it comes."""

from __future__ import annotations

import os
from threading import Thread

EVERY = 32 * 1024 * 1024
"""Bytes of a file between two flushes; what is left at the end is flushed before it gets its name."""


class WriteBack:
    """Flush the data of a file in a thread of its own, one flush at a time.

    Linux reports that it could not write something back once. So an error is kept here until `wait`
    raises it: another flush of the same file would succeed, with the data lost.
    """

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._error: OSError | None = None
        self._unflushed = 0

    def wrote(self, file: int, count: int) -> None:
        """Note `count` more bytes in `file`, a descriptor, which may be closed afterwards.

        Begins a flush if there are enough and none is under way. Raises OSError if one has failed.
        """
        self._unflushed += count
        if self._error is not None:
            raise self._error
        if self._unflushed >= EVERY and not (self._thread and self._thread.is_alive()):
            self._unflushed = 0
            # A daemon: a disk that hangs does not keep the program from ending.
            self._thread = Thread(target=self._flush, args=(os.dup(file),), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait for the flush that is under way. Raises OSError if it or one before has failed."""
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
