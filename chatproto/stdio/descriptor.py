"""Descriptors that a program was started with, which it shares with other programs.

A shell and other programs use the same open file description. O_NONBLOCK is never set on it, because
it would be set for them as well.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import termios
from collections.abc import Callable
from typing import Any, Protocol


class Writing(Protocol):
    """Reactor methods that output uses."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> Any: ...

    def addWriter(self, writer: Any) -> object: ...

    def removeWriter(self, writer: Any) -> object: ...


class Reactor(Writing, Protocol):
    """Reactor methods that input and output use."""

    def addReader(self, reader: Any) -> object: ...

    def removeReader(self, reader: Any) -> object: ...


def reopened(fd: int, flags: int) -> int:
    """Return a new descriptor for the file that `fd` is open on; the caller closes it.

    A terminal is opened again with O_NONBLOCK. Otherwise a write to a stopped or full one would block,
    and so would a read of data that another program has taken. Other files, and terminals that cannot
    be opened, are duplicated. Raises OSError if `fd` is not open.
    """
    if os.isatty(fd):
        for path in (f"/proc/self/fd/{fd}", _terminal_name(fd)):
            try:
                return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                continue
    return os.dup(fd)


def _terminal_name(fd: int) -> str:
    try:
        return os.ttyname(fd)
    except OSError:
        return ""


def is_always_ready(fd: int) -> bool:
    """Return True if `fd` never blocks and cannot be polled: a regular file, /dev/null."""
    mode = os.fstat(fd).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(fd))


def is_ready(fd: int, event: int) -> bool:
    """Return True if reading (POLLIN) or writing up to 4,096 bytes (POLLOUT) would not block.

    Also true if the call would fail at once.
    """
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(0))


def terminal_is_there(fd: int) -> bool:
    """Return True while the terminal of `fd` exists, even if this process is in the background."""
    try:
        os.tcgetpgrp(fd)
    except OSError:
        return False
    return True


def is_line_mode(fd: int) -> bool:
    """Return True if `fd` is a terminal that hands over whole lines (canonical mode)."""
    try:
        return bool(termios.tcgetattr(fd)[3] & termios.ICANON)
    except (termios.error, OSError):
        return False


def stay_running_in_background() -> None:
    """Ignore the signals that stop a background process when it reads or writes its terminal."""
    try:
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    except ValueError:
        pass  # not in the main thread, so not a process started by a shell
