"""The prompt of the full interface while the client is loaded."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import select
import sys
import termios
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import screen_program
from chatproto.cli.client_options import Options
from chatproto.cli.screen_program import MODULES, ScreenStart, typed_history

PROMPT = b"to nobody>"


class StartTests(SynchronousTestCase):
    """Alice starts her client at a terminal; each import of a module is noted instead of made."""

    def setUp(self) -> None:
        self.patch(sys, "__stderr__", io.StringIO())
        self.home = Path(self.mktemp())
        ours, theirs = pty.openpty()
        self._ours = ours
        self.addCleanup(os.close, ours)
        for name, mode in (("__stdin__", "r"), ("__stdout__", "w")):
            stream = os.fdopen(os.dup(theirs), mode)
            self.addCleanup(stream.close)
            self.patch(sys, name, stream)
        self._theirs = theirs
        self.addCleanup(os.close, theirs)
        self.before = termios.tcgetattr(ours)
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.seen = b""
        self.imported: list[tuple[str, bool]] = []
        self.keys = b""
        self.patch(screen_program, "import_module", self.note)

    def options(self, *words: str) -> Options:
        options = Options()
        options.parseOptions(["--id", "alice", "--home", str(self.home), *words])
        self.addCleanup(options["opened"].close)
        return options

    def note(self, module: str) -> None:
        """Note that `module` is imported, and what stood on the screen then; type `keys` once."""
        self.look()
        self.imported.append((module, PROMPT in self.seen))
        keys, self.keys = self.keys, b""
        if keys:
            os.write(self._ours, keys)
            select.select([self._theirs], [], [], 20)  # until the terminal has passed them on

    def look(self) -> None:
        """Take what has been written to the terminal."""
        while select.select([self._ours], [], [], 0)[0]:
            self.seen += os.read(self._ours, 65536)

    def load(self, keys: bytes) -> tuple[ScreenStart, bool]:
        self.keys = keys
        start = ScreenStart(self.loop, self.options("--color", "never"))
        self.addCleanup(start.terminal.restore)
        return start, self.loop.run_until_complete(start.load())

    def test_the_prompt_stands_before_the_first_module_is_loaded_and_takes_keys(self) -> None:
        start, loaded = self.load(b"hi")
        self.assertTrue(loaded)
        self.assertEqual(self.imported, [(module, True) for module in MODULES])
        deadline = self.loop.time() + 20
        while b"hi" not in self.seen[self.seen.index(PROMPT) :]:
            self.assertLess(self.loop.time(), deadline)
            self.loop.run_until_complete(asyncio.sleep(0))
            self.look()
        start.terminal.stop()
        self.loop.run_until_complete(start.terminal.flush().asFuture(self.loop))
        self.assertEqual(termios.tcgetattr(self._ours), self.before)

    def test_loading_stops_when_the_user_quits(self) -> None:
        _, loaded = self.load(b"\x04")
        self.assertFalse(loaded)
        self.assertLess(len(self.imported), len(MODULES))
        self.assertEqual(termios.tcgetattr(self._ours), self.before)

    def test_typed_lines_are_stored_unless_no_log(self) -> None:
        for words, lines in ((("--no-log",), []), ((), ["a line"])):
            options = self.options(*words)
            typed_history(options).add("a line")
            self.assertEqual(typed_history(options).read(), lines)
            self.assertEqual((self.home / "history").exists(), bool(lines))
            options["opened"].close()
