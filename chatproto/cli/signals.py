"""Handle signals: Ctrl-C, a closed terminal, and SIGTERM, before and while the reactor runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from chatproto.cli.exit_codes import INTERRUPTED


def handle_signals_later(
    reactor: Any,
    again: Callable[[int, FrameType | None], object] | signal.Handlers = signal.SIG_DFL,
) -> None:
    """Make `reactor` handle SIGTERM and SIGINT in a turn of its own. Call this before it runs.

    Its handlers write to the log, and run between any two steps of the program. If the program holds
    the lock of the log, a handler would wait for that lock for ever. Handlers of other code are
    unchanged.

    Once the program is ending, for any reason, another of these signals is handled by `again`, which
    must end it at once.
    """
    ours: list[signal.Signals] = []
    came = False

    def take_over() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if getattr(handler, "__self__", None) is reactor:
                ours.append(number)
                signal.signal(number, partial(later, handler))

    def later(handler: Any, number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:  # `timeout` of the shell sends the same signal twice in a moment
            came = True
            reactor.callFromThread(handler, number, None)

    def let_go() -> None:
        for number in ours:
            signal.signal(number, again)

    reactor.callWhenRunning(take_over)
    reactor.addSystemEventTrigger("before", "shutdown", let_go)


def end(reactor: Any) -> None:
    """Stop `reactor`; a second call while the program ends does nothing."""
    with suppress(ReactorNotRunning):
        reactor.stop()


class Interrupt(Service):
    """Call `first` on SIGINT; a second one ends the program at once.

    So does the first one while the program is ending for another reason.

    If the program was started with SIGINT ignored, as by a shell in the background, it stays ignored.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, first: Callable[[], object], second: Callable[[int], object] = os._exit
    ) -> None:
        self._reactor = reactor
        self._first = first
        self._second = second
        self._came = False

    def startService(self) -> None:
        super().startService()
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
            # Before the reactor's own, which it then leaves out.
            signal.signal(signal.SIGINT, self._interrupted)

    def stopService(self) -> None:
        super().stopService()
        self._came = True

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            self._second(INTERRUPTED)
            return
        self._came = True
        self._reactor.callFromThread(self._end)

    def _end(self) -> None:
        self.log.info("Received SIGINT, shutting down.")
        self._first()


def has_terminal() -> bool:
    """Return True if this process has a controlling terminal, whose end sends SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class HangUp(Service):
    """End the program in an orderly way on SIGHUP, unless it was started with SIGHUP ignored (`nohup`).

    A second SIGHUP ends it at once, as a second SIGTERM does.

    Args: reload: called on each SIGHUP instead of ending; None: the program ends.
    """

    log = Logger()

    def __init__(self, reactor: Any, reload: Callable[[], object] | None = None) -> None:
        self._reactor = reactor
        self._reload = reload
        self._ours = False

    def startService(self) -> None:
        super().startService()
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, self._handle)
            self._ours = True

    def stopService(self) -> None:
        super().stopService()
        self._release()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._reload is not None:
            self._reactor.callFromThread(self._reload)
            return
        self._release()
        self._reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        self.log.info("Received SIGHUP, shutting down.")
        end(self._reactor)

    def _release(self) -> None:
        if self._ours:
            self._ours = False
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


class EarlySignals(Service):
    """End the process by SIGINT, SIGTERM or SIGHUP as usual, but restore the terminal before.

    The start of the service leaves the signals to the program, whose own services start after this one;
    the reactor replaces the handler of SIGTERM. A signal that was ignored when the process started
    stays ignored.

    Args: restore: restores the terminal.
    """

    def __init__(self, restore: Callable[[], object]) -> None:
        self._restore = restore
        self._usual: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            usual = signal.getsignal(number)
            if usual in (signal.SIG_DFL, signal.default_int_handler):
                self._usual[number] = usual
                signal.signal(number, self._handle)

    def startService(self) -> None:
        super().startService()
        for number, usual in self._usual.items():
            if number != signal.SIGTERM:
                signal.signal(number, usual)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def keep_wakeups(reactor: Any) -> None:
    """Let asyncio receive signals once `reactor` runs, such as of a window that changes its size.

    The reactor would use the descriptor to learn of ended child processes. The programs start none by
    it.
    """
    wakes = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakes)
    reactor.callWhenRunning(signal.set_wakeup_fd, wakes)
