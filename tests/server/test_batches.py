"""The commands of one server of several keep their order, whatever the log takes when."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server import commands as told
from chatproto.server.batches import AGAIN, Batches, Waiter
from chatproto.wire.errors import StoreTrouble

FIRST = told.Beat("rules")


class OneLog:
    """Keeps what is written while `full` is False, and refuses it otherwise."""

    def __init__(self) -> None:
        self.full = False
        self.lines: list[str] = []

    def append(self, line: str) -> Deferred[Any]:
        if self.full:
            return fail(Failure(StoreTrouble("the log is full")))
        self.lines.append(line)
        return succeed(None)

    def keep(self, lines: object) -> Deferred[int]:
        raise AssertionError("batches keep no pictures")

    def commands(self) -> list[told.Command]:
        """Everything in the log, without the first command."""
        return [
            command
            for line in self.lines
            for command in told.read(line).commands
            if command != FIRST
        ]


class BatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.clock, self.log = Clock(), OneLog()
        self.batches = Batches(self.clock, self.log)
        self.batches.begin("node", FIRST)
        self.refused: list[int] = []
        self.flushLoggedErrors()

    def gone(self, number: int, waits: bool = False) -> told.ConnectionClosed:
        """Add a command with `number`; `waits`: somebody waits for it."""
        command = told.ConnectionClosed(number, "")
        waiter = Waiter(lambda answer: None, lambda: self.refused.append(number))
        self.batches.add(command, waiter if waits else None)
        return command

    def test_commands_keep_their_order_when_the_log_refused_them_first(self) -> None:
        self.log.full = True
        added = [self.gone(number) for number in range(5)]
        self.clock.advance(0)
        self.assertEqual(self.log.commands(), [])
        self.log.full = False
        self.clock.advance(AGAIN)
        self.assertEqual(self.log.commands(), added)

    def test_a_refused_command_is_not_written_later(self) -> None:
        self.log.full = True
        kept = [self.gone(1), self.gone(2, waits=True), self.gone(3)]
        self.clock.advance(0)
        self.assertEqual(self.refused, [2])
        self.log.full = False
        self.clock.advance(AGAIN)
        self.assertEqual(self.log.commands(), [kept[0], kept[2]])

    @given(st.lists(st.sampled_from(["add", "wait", "full", "free", "pass"]), max_size=30))
    def test_any_history_keeps_the_order_of_what_was_not_refused(self, steps: list[str]) -> None:
        self.begin()
        added: list[told.ConnectionClosed] = []
        for step in steps:
            match step:
                case "add" | "wait":
                    added.append(self.gone(len(added), step == "wait"))
                case "full" | "free":
                    self.log.full = step == "full"
                case "pass":
                    self.clock.advance(AGAIN)
        self.log.full = False
        self.clock.pump([AGAIN] * 3)
        expected = [one for one in added if one.number not in self.refused]
        self.assertEqual(self.log.commands(), expected)
