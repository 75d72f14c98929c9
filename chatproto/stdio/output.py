"""Standard output that never blocks the program."""

from __future__ import annotations

import errno
import os
import select
from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.stdio.descriptor import (
    Writing,
    is_ready,
    reopened,
    stay_running_in_background,
)
from chatproto.wire.limits import DEFAULTS

_AT_ONCE = 4096  # PIPE_BUF: bytes that a writable pipe takes without blocking
_WRITES_A_TURN = 64

_ENDED = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ECONNRESET, errno.ENODEV)


def _dropped_line(count: int) -> str:
    what = "line was" if count == 1 else "lines were"
    return f"* {count} {what} not printed"


def _ignore(full: bool) -> None:
    """Ignore back-pressure: the default for `Output`."""


@implementer(IWriteDescriptor)
class Output:
    """Writer of lines to the descriptor `fd`: a terminal, pipe, socket or file.

    The lines of one turn of the reactor are written together. If more than `limit` bytes are queued,
    whole lines are dropped and counted in `dropped`; one line in their place reports their number. If
    the reader closes its end, the output ends without an error: further lines are dropped.

    `dropped_line`: returns that line for a number. `on_full`: called with True when half of `limit` is
    queued and with False at an eighth, so that a producer that can pause loses no lines. `encoding`: of
    the lines; it replaces characters that it lacks by question marks.
    """

    def __init__(
        self,
        reactor: Writing,
        fd: int,
        limit: int = DEFAULTS.terminal_unsent,
        dropped_line: Callable[[int], str] = _dropped_line,
        on_full: Callable[[bool], None] = _ignore,
        encoding: str = "utf-8",
    ) -> None:
        self.dropped = 0
        self._encoding = encoding
        self._errors = "backslashreplace" if encoding == "utf-8" else "replace"
        self._dropped_line = dropped_line
        self._on_full = on_full
        self._full = False
        self._reactor = reactor
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._begun = b""  # rest of a piece that was written in part
        self._bytes = 0  # queued bytes, including `_begun`
        self._untold = 0
        self._turn = False
        self._waits = False
        self._flushed: list[Deferred[None]] = []
        try:
            self._fd = reopened(fd, os.O_WRONLY)
        except OSError:
            self._fd = -1
            return
        if os.isatty(self._fd):
            stay_running_in_background()

    def write_line(self, text: str) -> None:
        """Queue `text`, which has no line end, and a line end."""
        if self._fd < 0:
            return
        line = text.encode(self._encoding, self._errors) + b"\n"
        if self._untold and self._bytes <= self._limit // 2:
            self._tell_dropped()
        if self._untold or self._bytes + len(line) > self._limit:
            self._untold += 1
            self.dropped += 1
            return
        self._append(line)

    def write(self, data: bytes) -> None:
        """Queue `data` unchanged. None of it is dropped: the caller limits it by waiting for `flush`."""
        if self._fd >= 0 and data:
            self._append(data)

    def flush(self) -> Deferred[None]:
        """Return a Deferred that fires when all lines are written or the output has ended.

        It never fires while the reader does not read: the caller sets a timeout and cancels it.
        """
        self._write()
        if not self._bytes:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._flushed.remove)
        self._flushed.append(waiting)
        return waiting

    def close(self) -> None:
        """Write the queued bytes that can be written without blocking, then end the output."""
        self._stop_waiting()
        while self._bytes and not self._waits:
            self._write()
        self._end()

    # Callbacks of Twisted.

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "Output"

    def doWrite(self) -> None:
        self._stop_waiting()
        self._write()

    def connectionLost(self, reason: Failure) -> None:
        self._end()

    # Internal.

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes > self._limit // 2:
            self._press(True)
        if not self._turn and not self._waits:
            self._turn = True
            self._reactor.callLater(0, self._on_turn)

    def _tell_dropped(self) -> None:
        line = f"{self._dropped_line(self._untold)}\n".encode(self._encoding, self._errors)
        self._untold = 0
        self._append(line)

    def _press(self, full: bool) -> None:
        if full is not self._full:
            self._full = full
            self._on_full(full)

    def _on_turn(self) -> None:
        self._turn = False
        if not self._waits:
            self._write()

    def _write(self) -> None:
        """Write until all is written, a write would block, or the limit per turn is reached."""
        for _ in range(_WRITES_A_TURN):
            if not self._bytes and self._untold:
                self._tell_dropped()
            if not self._bytes or self._fd < 0:
                break
            if not self._begun:
                self._begun = self._next_piece()
            if not is_ready(self._fd, select.POLLOUT):
                self._wait()
                return
            try:
                written = os.write(self._fd, self._begun)
            except (BlockingIOError, InterruptedError):
                self._wait()
                return
            except OSError as error:
                self._fail(error)
                return
            self._begun = self._begun[written:]
            self._bytes -= written
            if self._bytes <= self._limit // 8:
                self._press(False)
        if not self._bytes:
            self._tell_flushed()
        elif not self._turn:
            self._turn = True
            self._reactor.callLater(0, self._on_turn)

    def _next_piece(self) -> bytes:
        """Return as many whole lines as fit into one write, or the beginning of a long one."""
        lines = self._lines
        piece = [lines.popleft()]
        room = _AT_ONCE - len(piece[0])
        if room < 0:
            lines.appendleft(piece[0][_AT_ONCE:])
            return piece[0][:_AT_ONCE]
        while lines and len(lines[0]) <= room:
            room -= len(lines[0])
            piece.append(lines.popleft())
        return b"".join(piece)

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self._reactor.addWriter(self)

    def _stop_waiting(self) -> None:
        if self._waits:
            self._waits = False
            self._reactor.removeWriter(self)

    def _fail(self, error: OSError) -> None:
        if error.errno in _ENDED:
            self._end()
            return
        # Most likely a full disk, which may have space for the next line.
        lost = len(self._lines) + self._begun.count(b"\n")
        self.dropped += lost
        self._untold += lost
        self._forget()
        self._tell_flushed()

    def _end(self) -> None:
        self._stop_waiting()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        self._forget()
        self._tell_flushed()

    def _forget(self) -> None:
        self._lines.clear()
        self._begun = b""
        self._bytes = 0
        self._press(False)

    def _tell_flushed(self) -> None:
        flushed, self._flushed = self._flushed, []
        for waiting in flushed:
            waiting.callback(None)
