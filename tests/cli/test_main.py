"""The console script with both programs as sub-commands."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.main import NEEDS_WSL, chatproto


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


class WindowsTests(SynchronousTestCase):
    def test_windows_gets_one_sentence_about_wsl(self) -> None:
        """A new interpreter that says it is Windows and has none of the modules of POSIX."""
        for program in ("chatproto", "chatclient", "chatserver"):
            code = (
                "import sys; sys.platform = 'win32'\n"
                "for name in ('fcntl', 'pwd', 'grp', 'termios', 'resource', 'tty', 'pty'):\n"
                "    sys.modules[name] = None\n"
                f"from chatproto.cli.main import {program}; {program}()\n"
            )
            ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertEqual(ended.stderr, f"{NEEDS_WSL}\n")
