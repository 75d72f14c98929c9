"""Tests of what SIGTERM and SIGINT do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import signals
from chatproto.cli.signals import end, handle_signals_later

WHILE_THE_LOG_IS_WRITTEN = """
import os, signal, threading
from twisted.internet import reactor
from twisted.logger import globalLogBeginner
from chatproto.cli.signals import handle_signals_later

lock = threading.Lock()


def observe(event):
    with lock:
        print(event["log_format"])


def write():
    with lock:
        os.kill(os.getpid(), signal.%s)


globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)
handle_signals_later(reactor)
reactor.callWhenRunning(write)
reactor.run()
"""


class Reactor:
    """Starts nothing, and keeps what it is to call."""

    def __init__(self) -> None:
        self.starts: list[Callable[[], None]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.came: list[int] = []
        self.ends: list[Callable[[], None]] = []
        self.stops = 0

    def callWhenRunning(self, call: Callable[[], None]) -> None:
        self.starts.append(call)

    def callFromThread(self, *call: Any) -> None:
        self.calls.append(call)

    def addSystemEventTrigger(self, when: str, event: str, call: Callable[[], None]) -> None:
        assert (when, event) == ("before", "shutdown")
        self.ends.append(call)

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning

    def handler(self, number: int, frame: object) -> None:
        self.came.append(number)


class SignalTests(SynchronousTestCase):
    def test_every_program_with_a_log_does_so(self) -> None:
        folder = Path(signals.__file__).parent
        programs = [*folder.glob("*_program.py"), folder / "oneshot.py"]
        self.assertGreater(len(programs), 3)
        for program in programs:
            self.assertRegex(
                program.read_text(),
                r"    (handle_signals_later|prepare_reactor)\(reactor",
                program.name,
            )

    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = Reactor()
        handle_signals_later(self.reactor)

    def test_the_reactors_handler_is_called_in_a_turn_of_its_own(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.reactor.handler)  # as the reactor does when it starts
        self.reactor.starts[0]()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(self.reactor.came, [])
        for call, *arguments in self.reactor.calls:
            call(*arguments)
        self.assertEqual(self.reactor.came, [signal.SIGINT])  # the second one changes nothing

    def test_another_one_while_the_program_ends_is_not_the_reactors(self) -> None:
        again: list[int] = []
        handle_signals_later(self.reactor, lambda number, _: again.append(number))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.reactor.handler)
        self.reactor.starts[1]()
        self.reactor.ends[1]()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        self.assertEqual(again, [signal.SIGTERM, signal.SIGINT])
        self.assertEqual(self.reactor.calls, [])

    def test_the_default_of_another_one_is_the_end(self) -> None:
        signal.signal(signal.SIGTERM, self.reactor.handler)
        self.reactor.starts[0]()
        self.reactor.ends[0]()
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def test_a_program_that_is_ending_may_be_ended_again(self) -> None:
        end(self.reactor)
        end(self.reactor)
        self.assertEqual(self.reactor.stops, 2)

    def test_handlers_of_others_are_unchanged(self) -> None:
        def other(number: int, frame: object) -> None: ...

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, other)
        self.reactor.starts[0]()
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_IGN)
        self.assertIs(signal.getsignal(signal.SIGINT), other)

    def test_signal_while_logging_ends_the_program(self) -> None:
        for name in ("SIGTERM", "SIGINT"):
            found = subprocess.run(
                [sys.executable, "-c", WHILE_THE_LOG_IS_WRITTEN % name],
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertIn(f"Received {name}, shutting down.", found.stdout, found.stderr)
