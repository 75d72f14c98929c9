"""Standard input, line by line, be it a terminal, a pipe or a file."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.stdio.descriptor import (
    Reactor,
    is_always_ready,
    is_line_mode,
    is_ready,
    reopened,
    stay_running_in_background,
    terminal_is_there,
)
from chatproto.stdio.typed import NOT_TEXT, typed, without_keys
from chatproto.stdio.unexpected import unexpected
from chatproto.wire.limits import DEFAULTS

TERMINAL_LINE = 4095
"""Bytes of a line, without its end, that Linux passes on from a terminal; it drops the others."""
_AT_ONCE = 16 * 1024
_LINES_A_TURN = 256
_LOOK_AGAIN = 1.0  # seconds, for a terminal that another program has just now


def _ignore(sentence: str) -> None:
    """Ignore a refusal: the default for `LineInput`."""


@implementer(IReadDescriptor)
class LineInput:
    """Calls `on_line` for each line of the descriptor `fd`, then `on_end` once.

    A line ends with LF or CRLF, the last one also with the input. What was not typed goes (`typed`).
    A line longer than `limit` bytes, or one that is not UTF-8 text, is left out and `on_refused` called
    with one sentence that says so. With `errors`, as of `bytes.decode`, bytes that are not UTF-8 are
    decoded. An exception of `on_line` is logged, `on_failed` called with a sentence about it, and the
    next line read. A program in the background of a shell is not stopped: it looks again each second
    whether the terminal is its own.
    """

    def __init__(
        self,
        reactor: Reactor,
        fd: int,
        on_line: Callable[[str], object],
        on_end: Callable[[], object],
        on_refused: Callable[[str], object] = _ignore,
        limit: int = DEFAULTS.message,
        errors: str = "strict",
        on_failed: Callable[[str], object] = _ignore,
    ) -> None:
        self._reactor = reactor
        self._handed = fd
        self._on_line = on_line
        self._on_end = on_end
        self._on_refused = on_refused
        self._limit = limit
        self._errors = errors
        self._on_failed = on_failed
        self._fd = -1
        self._terminal = False
        self._always_ready = False
        self._rest = b""  # a line that has not ended yet
        self._too_long = False  # and has been refused already
        self._lines: list[bytes] = []  # whole ones to be told, the last first
        self._input_ended = False
        self._paused = False
        self._reading = False
        self._later = False

    def start(self) -> None:
        """Begin to read; nothing is called before the next turn of the reactor."""
        try:
            self._fd = reopened(self._handed, os.O_RDONLY)
            self._always_ready = is_always_ready(self._fd)
            self._terminal = os.isatty(self._fd)
            if self._terminal:
                stay_running_in_background()
        except OSError:
            self._input_ended = True  # it was closed before we were started
        self._go_on_later()

    def stop(self) -> None:
        """Read and call no more."""
        self._paused = True
        self._lines.clear()
        self._rest = b""
        self._input_ended = False
        self._close()

    def pause(self) -> None:
        """Call nothing until `resume`; at most what was read already is kept."""
        self._paused = True
        self._stop_reading()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._paused and (self._fd >= 0 or self._input_ended or self._lines):
            self._paused = False
            self._go_on_later()

    @property
    def pending(self) -> bool:
        """Return True if there may be lines that were not handed on yet."""
        if self._paused or self._lines:
            return True
        return self._fd >= 0 and not self._always_ready and is_ready(self._fd, select.POLLIN)

    # What Twisted calls.

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "Lines"

    def doRead(self) -> None:
        # Asked once more: another program that shares it may have been quicker.
        if self._fd >= 0 and is_ready(self._fd, select.POLLIN):
            self._read()
            self._go_on()

    def connectionLost(self, reason: Failure) -> None:
        self._read_end()
        self._go_on()

    # Our own.

    def _go_on_later(self, delay: float = 0.0) -> None:
        if not self._later:
            self._later = True
            self._reactor.callLater(delay, self._on_turn)

    def _on_turn(self) -> None:
        self._later = False
        if self._fd >= 0 and self._always_ready and not self._lines and not self._paused:
            self._read()
        self._go_on()

    def _go_on(self) -> None:
        """Tell some lines; then read on, or end."""
        for _ in range(_LINES_A_TURN):
            if self._paused or not self._lines:
                break
            self._tell(self._lines.pop())
        if self._paused or self._later:
            return
        if self._lines:
            self._stop_reading()
            self._go_on_later()
        elif self._input_ended:
            self._input_ended = False
            self._on_end()
        elif self._fd >= 0 and self._always_ready:
            self._go_on_later()
        elif self._fd >= 0 and not self._reading:
            self._reading = True
            self._reactor.addReader(self)

    def _tell(self, line: bytes) -> None:
        line = line.removesuffix(b"\r")
        if len(line) > self._limit:
            self._refuse()
            return
        try:
            text = line.decode("utf-8", self._errors)
        except UnicodeDecodeError:
            self._on_refused(NOT_TEXT)
            return
        try:
            self._on_line(typed(without_keys(text) if self._terminal else text))
        except Exception:
            self._on_failed(unexpected("that line"))

    def _refuse(self) -> None:
        self._on_refused(f"that line was left out: it is longer than {self._limit} bytes")

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            # In the background it cannot be read; it may have become ours since.
            if error.errno == errno.EIO and terminal_is_there(self._fd):
                self._stop_reading()
                self._go_on_later(_LOOK_AGAIN)
                return
            data = b""
        if data and self._is_cut(data):
            self._on_refused(
                f"that line was not taken: a terminal passes on only {TERMINAL_LINE:,} bytes of a line;"
                " write it as several, or hand it over through a pipe"
            )
        elif data:
            self._split(data)
        else:
            self._read_end()

    def _is_cut(self, data: bytes) -> bool:
        """Return True for a line that is as long as a terminal's may be, and so perhaps was longer."""
        full = len(data) == TERMINAL_LINE + 1 and data.endswith(b"\n") and not self._rest
        return full and data.count(b"\n") == 1 and is_line_mode(self._fd)

    def _split(self, data: bytes) -> None:
        if b"\n" not in data:
            self._keep(data)
            return
        first, *others = data.split(b"\n")
        last = others.pop()
        if self._too_long:
            self._too_long = False
            lines = others
        else:
            lines = [self._rest + first, *others]
        self._rest = b""
        self._lines = lines[::-1]
        self._keep(last)

    def _keep(self, data: bytes) -> None:
        if self._too_long:
            return
        self._rest += data
        if len(self._rest) > self._limit + 1:  # one for CR
            self._rest = b""
            self._too_long = True
            self._refuse()

    def _read_end(self) -> None:
        self._close()
        self._input_ended = True
        if self._rest:
            self._lines.insert(0, self._rest)
            self._rest = b""

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._reactor.removeReader(self)

    def _close(self) -> None:
        self._stop_reading()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
