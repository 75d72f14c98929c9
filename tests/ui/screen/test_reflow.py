"""Test where the prompt begins after a terminal has wrapped its rows anew."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.screen.reflow import rows_above, wraps_anew


class ReflowTests(SynchronousTestCase):
    def test_rows_that_are_wider_take_several(self) -> None:
        self.assertEqual(rows_above([80, 41, 40, 0], 10, 40), 2 + 2 + 1 + 1)
        self.assertEqual(rows_above([], 85, 40), 2)
        self.assertEqual(rows_above([80, 80], 0, 120), 2)

    def test_terminals_that_are_known_to_wrap(self) -> None:
        self.assertTrue(wraps_anew({"TERM": "screen", "TMUX": "/tmp/x"}))
        self.assertTrue(wraps_anew({"TERM": "xterm-256color", "VTE_VERSION": "7200"}))
        self.assertTrue(wraps_anew({"TERM": "foot-extra"}))
        for name in ("xterm-256color", "linux", "screen", ""):
            self.assertFalse(wraps_anew({"TERM": name}))
