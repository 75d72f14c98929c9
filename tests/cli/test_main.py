"""The console script with both programs as sub-commands."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.main import chatproto


class ChatprotoTests(SynchronousTestCase):
    def run_it(self, *arguments: str) -> tuple[object, str]:
        """Run the script; return its exit code, or its last words, and its standard output."""
        self.patch(sys, "argv", ["chatproto", *arguments])
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            try:
                chatproto()
            except SystemExit as ended:
                return ended.code, out.getvalue()
        return 0, out.getvalue()

    def test_sub_command_is_the_program_of_that_name(self) -> None:
        for arguments in (("client", "send"), ("client", "doctor"), ("server", "backup")):
            code, out = self.run_it(*arguments, "--help")
            self.assertEqual(code, 0)
            self.assertIn(f"sage: chat{arguments[0]} {arguments[1]}", out)

    def test_version_and_help_are_printed(self) -> None:
        self.assertEqual(self.run_it("--version"), (0, f"chatproto {version('chatproto')}\n"))
        code, out = self.run_it("--help")
        self.assertEqual(code, 0)
        self.assertIn("chatproto server [options]", out)

    def test_anything_else_is_refused_with_the_usage(self) -> None:
        for arguments in ((), ("serve",), ("Server",), ("",)):
            code, out = self.run_it(*arguments)
            self.assertEqual(out, "")
            self.assertIn("chatproto client [options]", str(code))
