"""Options of one-shot commands that cannot be used: one line, code 1, before anything starts."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.oneshot import main

WRONG = (
    ("send",),
    ("send", "bob", "two", "texts"),
    ("send", "bob", ""),
    ("send", "a b", "x"),
    ("send", "--plain", "bob", "x"),
    ("send", "--timeout", "soon", "bob", "x"),
    ("send", "--bogus", "bob", "x"),
    ("send", "bob", "x" * 65537),
    ("send-file", "bob"),
    ("send-file", "bob", "/not/there"),
    ("receive", "bob"),
    ("receive", "--count", "0"),
    ("info", "--server", "none"),
)


class WrongOptionTests(SynchronousTestCase):
    def test_a_wrong_option_is_one_line_and_code_1(self) -> None:
        home = Path(self.mktemp())
        for command, *words in WRONG:
            said = io.StringIO()
            self.patch(sys, "__stderr__", said)
            with self.assertRaises(SystemExit) as ended:
                main([command, "--home", str(home), *words])
            line = said.getvalue()
            self.assertEqual((ended.exception.code, line.count("\n")), (1, 1), line)
            self.assertTrue(line.startswith(f"chatclient {command}: "), line)
