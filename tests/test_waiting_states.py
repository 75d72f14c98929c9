"""The table of waiting states in docs/architecture.md, against the limits, the tests and the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.state import SessionState as Conversation
from chatproto.transfer.state import ENDED
from chatproto.transfer.state import TransferState as Transfer
from tests.limits import Limits, constants

ROOT = Path(__file__).parent.parent
NOT_WAITING = {Conversation.NEW, Conversation.OPEN, Conversation.CLOSED}
TIMER = re.compile(r'timers\.after\(\s*"(\w+)"')


def rows() -> list[list[str]]:
    """The cells of each row of the table."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, section = page.partition("\n## Waiting states\n")
    section, _, _ = section.partition("\n## ")
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


class WaitingStateTests(SynchronousTestCase):
    def test_each_row_names_a_limit_and_a_test_that_exist(self) -> None:
        limits = {field.name for field in fields(Limits)}
        limits |= set(constants())
        self.assertGreater(len(rows()), 30)
        for state, leaves, limit, test in rows():
            self.assertTrue(leaves, state)
            self.assertIn(limit.strip("`"), limits, state)
            path, _, name = test.strip("`").partition("::")
            source = (ROOT / path).read_text(encoding="utf-8")
            self.assertIn(f"def {name}(", source, state)

    def test_every_state_that_waits_has_a_row(self) -> None:
        names = {state.strip("`") for state, *_ in rows()}
        for one in set(Conversation) - NOT_WAITING:
            self.assertIn(f"session.{one.name}", names)
        for each in set(Transfer) - set(ENDED):
            self.assertIn(f"transfer.{each.name}", names)

    def test_every_named_timer_stands_in_a_row(self) -> None:
        named = set(re.findall(r"`(\w+)`", " ".join(leaves for _, leaves, *_ in rows())))
        for path in sorted((ROOT / "chatproto").rglob("*.py")):
            for timer in TIMER.findall(path.read_text(encoding="utf-8")):
                self.assertIn(timer, named, f"{path} waits for {timer}")

    def test_no_two_rows_are_the_same_state(self) -> None:
        states = [state for state, *_ in rows()]
        self.assertEqual(len(states), len(set(states)))
