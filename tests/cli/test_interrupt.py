"""Tests of what Ctrl-C does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.signals import Interrupt


class InterruptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        self.calls: list[Callable[[], None]] = []
        self.done: list[object] = []
        reactor = SimpleNamespace(callFromThread=self.calls.append)
        self.service = Interrupt(reactor, lambda: self.done.append("first"), self.done.append)

    def test_first_interrupt_stops_and_second_kills(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.service.startService()
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual((len(self.calls), self.done), (1, []))  # nothing inside the handler
        self.calls[0]()
        self.assertEqual(self.done, ["first"])
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(self.done, ["first", 130])

    def test_the_first_one_while_the_program_ends_ends_it_at_once(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.service.startService()
        self.service.stopService()
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual((self.calls, self.done), ([], [130]))

    def test_ignored_signal_stays_ignored(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.service.startService()
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
