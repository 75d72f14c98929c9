"""Tests of what SIGTERM does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.terminate import handle_sigterm_later

WHILE_THE_LOG_IS_WRITTEN = """
import os, signal, threading
from twisted.internet import reactor
from twisted.logger import globalLogBeginner
from chatproto.cli.terminate import handle_sigterm_later

lock = threading.Lock()


def observe(event):
    with lock:
        print(event["log_format"])


def write():
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)


globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)
handle_sigterm_later(reactor)
reactor.callWhenRunning(write)
reactor.run()
"""


class TerminateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        self.starts: list[Callable[[], None]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.reactor = SimpleNamespace(
            callWhenRunning=self.starts.append,
            callFromThread=lambda *call: self.calls.append(call),
        )

    def test_the_reactors_handler_is_called_in_a_turn_of_its_own(self) -> None:
        came: list[int] = []

        def handler(number: int, frame: object) -> None:
            came.append(number)

        handle_sigterm_later(self.reactor)
        signal.signal(signal.SIGTERM, handler)  # as the reactor does when it starts
        self.starts[0]()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(came, [])
        (call,) = self.calls
        call[0](*call[1:])
        self.assertEqual(came, [signal.SIGTERM])

    def test_ignored_signal_stays_ignored(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        handle_sigterm_later(self.reactor)
        self.starts[0]()
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_IGN)

    def test_it_ends_a_program_that_is_writing_its_log(self) -> None:
        found = subprocess.run(
            [sys.executable, "-c", WHILE_THE_LOG_IS_WRITTEN],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertIn("Received SIGTERM, shutting down.", found.stdout, found.stderr)
