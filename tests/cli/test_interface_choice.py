"""Where the full interface cannot be, and the words that say why."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import interface_choice
from chatproto.cli.interface_choice import why_not_full

XTERM = {"TERM": "xterm"}


class WhyNotTests(SynchronousTestCase):
    """Both streams are terminals, unless a test says otherwise."""

    def setUp(self) -> None:
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        for name, mode in (("__stdin__", "r"), ("__stdout__", "w")):
            stream = os.fdopen(os.dup(theirs), mode)
            self.addCleanup(stream.close)
            self.patch(sys, name, stream)
        os.close(theirs)

    def test_the_package_that_draws_it_is_needed(self) -> None:
        self.patch(interface_choice, "find_spec", lambda name: None)
        self.assertEqual(why_not_full(None, XTERM), "the package prompt_toolkit is not installed")

    def test_the_terminal_must_move_its_cursor(self) -> None:
        for environ in ({"TERM": "dumb"}, {"TERM": ""}, {}):
            self.assertIn("can only print lines", why_not_full(None, environ))

    def test_both_streams_are_terminals(self) -> None:
        with Path(os.devnull).open(encoding="utf-8") as nothing:
            self.patch(sys, "__stdin__", nothing)
            self.assertEqual(why_not_full(None, XTERM), "standard input is not a terminal")
