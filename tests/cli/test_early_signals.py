"""Signals that come while the prompt stands and the reactor does not run yet."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.signals import EarlySignals, keep_wakeups

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EarlySignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in ENDS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, signal.SIG_DFL)
        self.done: list[object] = []
        self.patch(os, "kill", lambda pid, number: self.done.append(number))

    def test_the_terminal_is_given_back_before_the_process_ends(self) -> None:
        for number in ENDS:
            self.done.clear()
            signals = EarlySignals(lambda: self.done.append("restored"))
            signal.raise_signal(number)
            self.assertEqual(self.done, ["restored", number])
            self.assertEqual(signal.getsignal(number), signal.SIG_DFL)
            signals.startService()

    def test_a_signal_that_is_ignored_stays_so(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signals = EarlySignals(lambda: self.done.append("restored"))
        signal.raise_signal(signal.SIGHUP)
        signals.startService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
        self.assertEqual(self.done, [])

    def test_program_handles_signals_after_its_start(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signals = EarlySignals(lambda: self.done.append("restored"))
        signals.startService()
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)  # until the reactor replaces its handler
        self.assertEqual(self.done, ["restored", signal.SIGTERM])


class Running:
    """A reactor that takes the descriptor of signals when it begins to run, as Twisted's does."""

    def __init__(self) -> None:
        self._calls: list[tuple[Any, ...]] = []

    def callWhenRunning(self, work: Any, *arguments: object) -> None:
        self._calls.append((work, *arguments))

    def run(self) -> None:
        """Begin to run."""
        signal.set_wakeup_fd(-1)
        for work, *arguments in self._calls:
            work(*arguments)


class WakeupTests(SynchronousTestCase):
    def test_asyncio_receives_signals_after_the_reactor_runs(self) -> None:
        self.addCleanup(signal.set_wakeup_fd, signal.set_wakeup_fd(-1))
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        came: list[object] = []
        loop.add_signal_handler(signal.SIGWINCH, came.append, 1)
        reactor = Running()
        keep_wakeups(reactor)
        reactor.run()
        signal.raise_signal(signal.SIGWINCH)
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0))
        loop.remove_signal_handler(signal.SIGWINCH)
        self.assertEqual(came, [1])
