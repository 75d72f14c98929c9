"""Read lines from standard input: a terminal, a pipe or a file."""

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
"""Bytes per line, without its end, that a Linux terminal passes on; it drops the rest."""
_AT_ONCE = 16 * 1024
_LINES_A_TURN = 256
_LOOK_AGAIN = 1.0  # seconds, while another program is in the foreground


def _ignore(sentence: str) -> None:
    """Ignore a refusal: the default for `LineInput`."""


@implementer(IReadDescriptor)
class LineInput:
    """Reader that calls `on_line` for each line of the descriptor `fd`, then `on_end` once.

    A line ends with LF or CRLF, the last one also with the input. Characters that no user types are
    removed (`typed`). A line longer than `limit` bytes, or one that is not UTF-8, is dropped, and
    `on_refused` is called with one sentence. `errors`: how to decode bytes that are not UTF-8, as for
    `bytes.decode`. If `on_line` raises, the exception is logged, `on_failed` is called with one sentence,
    and the next line is read. In the background of a shell the program is not stopped: it retries to
    read the terminal every second.
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
        self._rest = b""  # beginning of a line without its end
        self._too_long = False  # True if that line has been refused
        self._lines: list[bytes] = []  # complete lines for `on_line`, the last first
        self._input_ended = False
        self._paused = False
        self._reading = False
        self._later = False

    def start(self) -> None:
        """Start reading; callbacks are called from the next turn of the reactor on."""
        try:
            self._fd = reopened(self._handed, os.O_RDONLY)
            self._always_ready = is_always_ready(self._fd)
            self._terminal = os.isatty(self._fd)
            if self._terminal:
                stay_running_in_background()
        except OSError:
            self._input_ended = True  # closed before the program was started
        self._go_on_later()

    def stop(self) -> None:
        """Stop reading, drop buffered lines, and make no more callbacks."""
        self._paused = True
        self._lines.clear()
        self._rest = b""
        self._input_ended = False
        self._close()

    def pause(self) -> None:
        """Make no callbacks until `resume`; only data that were read already are buffered."""
        self._paused = True
        self._stop_reading()

    def resume(self) -> None:
        """Continue after `pause`."""
        if self._paused and (self._fd >= 0 or self._input_ended or self._lines):
            self._paused = False
            self._go_on_later()

    @property
    def pending(self) -> bool:
        """Return True if there may be lines that were not yet passed to `on_line`."""
        if self._paused or self._lines:
            return True
        return self._fd >= 0 and not self._always_ready and is_ready(self._fd, select.POLLIN)

    # Callbacks of Twisted.

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "Lines"

    def doRead(self) -> None:
        # Polled again: another program that shares the descriptor may have read the data.
        if self._fd >= 0 and is_ready(self._fd, select.POLLIN):
            self._read()
            self._go_on()

    def connectionLost(self, reason: Failure) -> None:
        self._read_end()
        self._go_on()

    # Internal.

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
        """Pass some lines to `on_line`; then read on, or end."""
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
            # EIO: in the background; the process may be in the foreground again by now.
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
        """Return True for a line of the maximum length of a terminal, which was perhaps longer."""
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
