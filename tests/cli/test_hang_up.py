"""Tests of what SIGHUP does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.signals import HangUp


class HangUpTests(SynchronousTestCase):
    def setUp(self) -> None:
        former = signal.getsignal(signal.SIGHUP)
        self.addCleanup(signal.signal, signal.SIGHUP, former)
        self.calls: list[Callable[[], None]] = []
        self.stops: list[None] = []
        self.service = HangUp(
            SimpleNamespace(callFromThread=self.calls.append, stop=lambda: self.stops.append(None))
        )

    def test_first_hangup_stops_and_second_kills(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.service.startService()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((len(self.calls), self.stops), (1, []))
        self.calls[0]()
        self.assertEqual(self.stops, [None])
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_without_a_terminal_each_signal_reads_files_again(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        reloads: list[None] = []
        reactor = SimpleNamespace(callFromThread=lambda what: what())
        service = HangUp(reactor, lambda: reloads.append(None))
        service.startService()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(len(reloads), 2)
        service.stopService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_new_session_has_no_terminal(self) -> None:
        look = "from chatproto.cli.signals import has_terminal; print(has_terminal())"
        found = subprocess.run(
            [sys.executable, "-c", look], start_new_session=True, capture_output=True, text=True
        )
        self.assertEqual(found.stdout, "False\n")

    def test_ignored_signal_stays_ignored(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.service.startService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
        self.service.stopService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)

    def test_handler_is_restored_at_the_end(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.service.startService()
        self.service.stopService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)
