"""Test that a pasted line end is told from Enter on a terminal that does not mark pastes."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.screen.burst import Burst


class BurstTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.burst = Burst(self.clock.seconds, 0.05)

    def test_an_enter_alone_is_pressed(self) -> None:
        self.burst.key()
        self.assertFalse(self.burst.line_end(more=False))

    def test_an_enter_with_keys_behind_it_is_pasted_and_so_is_the_last_one(self) -> None:
        self.assertTrue(self.burst.line_end(more=True))
        for _ in range(40):  # the next line, of which each key comes late, but within the gap
            self.clock.advance(0.04)
            self.burst.key()
        self.assertTrue(self.burst.line_end(more=False))

    def test_after_a_pause_enter_sends(self) -> None:
        self.assertTrue(self.burst.line_end(more=True))
        self.clock.advance(0.06)
        self.burst.key()
        self.assertFalse(self.burst.line_end(more=False))

    def test_a_terminal_that_marks_pastes_needs_no_guess(self) -> None:
        self.burst.marked()
        self.assertFalse(self.burst.line_end(more=True))
