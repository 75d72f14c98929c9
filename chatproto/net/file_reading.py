"""Read a file that a user or another program may have replaced by a pipe or a device, within a time
limit.
"""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path

PIPE_WAIT = 1.0
"""Seconds in which a pipe that is given instead of a file must have been written."""


def read_file(path: Path, most: int, wait: float = 0.0, until: bytes = b"") -> bytes:
    """Return the content of `path`, or its first `most` bytes.

    Opening a pipe without a writer as a file would block for ever.

    Args: wait: seconds within which a pipe or a device must have delivered all. until: bytes that end
    the reading; empty: only the end of the file does.
    Raises OSError, also if that takes longer than `wait`.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    data = bytearray()
    ends = time.monotonic() + wait
    ready = select.poll()  # `select` supports only 1024 files
    ready.register(file, select.POLLIN)
    try:
        while len(data) < most and not (until and until in data):
            if not ready.poll(max(0.0, ends - time.monotonic()) * 1000):
                why = f"nothing was written to the pipe within {wait:g} s"
                raise OSError(errno.ETIMEDOUT, why, str(path))
            piece = os.read(file, most - len(data))
            if not piece:
                break
            data += piece
    finally:
        os.close(file)
    return bytes(data)
