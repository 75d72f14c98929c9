"""`chatserver backup`."""

from __future__ import annotations

import io
import sqlite3
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.backup import main
from chatproto.cli.main import chatserver
from chatproto.stores.sqlite import SqliteStore
from tests.contracts.names import ONE, key
from tests.contracts.rooms import NOW


class BackupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        self.path = self.home / "server.sqlite"
        self.target = self.home / "copy.sqlite"

    def started(self, path: Path) -> SqliteStore:
        store = SqliteStore(path, key(99))
        self.addCleanup(store.close)
        return store

    def run_it(self, *arguments: str) -> tuple[int, str, str]:
        out, wrong = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(wrong):
            try:
                code = main([*arguments, "--home", str(self.home)])
            except SystemExit as ended:
                assert isinstance(ended.code, int)
                code = ended.code
        return code, out.getvalue(), wrong.getvalue()

    def refused(self, *arguments: str) -> tuple[int, str]:
        code, out, wrong = self.run_it(*arguments)
        self.assertEqual((out, wrong.count("\n")), ("", 1))
        self.assertNotIn("Traceback", wrong)
        return code, wrong

    def test_contains_everything_while_the_server_continues(self) -> None:
        store = self.started(self.path)
        store.names.keep("alice", ONE, 1.0)
        store.rooms.append("#tea", "alice", NOW, "hello")
        store.rooms.settle()
        code, out, _ = self.run_it(str(self.target))
        self.assertEqual((code, out.count("\n")), (0, 1))
        store.names.keep("bob", ONE, 1.0)
        self.assertEqual(self.target.stat().st_mode & 0o777, 0o600)
        copies = sorted(path.name for path in self.home.glob("copy*"))
        self.assertEqual(copies, ["copy.sqlite"])
        copy = self.started(self.target)
        self.assertEqual(copy.names.owned(ONE), ("alice",))
        self.assertEqual(copy.rooms.page("#tea", None, None, 9, 99).lines[0].text, "hello")
        self.assertEqual(store.names.owned(ONE), ("alice", "bob"))

    def test_works_while_another_process_writes(self) -> None:
        self.started(self.path).names.keep("alice", ONE, 1.0)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM names")
        self.assertEqual(self.run_it(str(self.target))[0], 0)
        other.execute("ROLLBACK")
        self.assertEqual(self.started(self.target).names.owned(ONE), ("alice",))

    def test_never_replaces_a_file(self) -> None:
        self.started(self.path)
        self.target.write_text("mine")
        code, wrong = self.refused(str(self.target))
        self.assertEqual((code, self.target.read_text()), (2, "mine"))
        self.assertIn("exists already", wrong)

    def test_reports_errors_and_leaves_no_file(self) -> None:
        code, wrong = self.refused(str(self.target))
        self.assertEqual(code, 2)
        self.assertIn("no store at", wrong)
        self.path.write_text("Dear diary" * 999)
        self.assertIn("not an SQLite file", self.refused(str(self.target))[1])
        self.path.unlink()
        sqlite3.connect(self.path).executescript("CREATE TABLE recipes (name)")
        self.assertIn("not a store of a chatserver", self.refused(str(self.target))[1])
        self.assertIn("No such file", self.refused(str(self.target / "x" / "y"))[1])
        self.assertEqual(list(self.home.glob("copy*")), [])

    def test_of_a_damaged_store_fails(self) -> None:
        store = SqliteStore(self.path, key(99))
        for number in range(2000):
            store.names.keep(f"c{number}", ONE, 0.0)
        store.close()
        with self.path.open("r+b") as file:
            file.seek(self.path.stat().st_size // 2 // 4096 * 4096)
            file.write(b"\xa5" * 4096)
        code, wrong = self.refused(str(self.target))
        self.assertEqual(code, 2)
        self.assertIn("damaged", wrong)
        self.assertFalse(self.target.exists())

    def test_requires_one_path_and_known_options(self) -> None:
        for arguments in (
            (),
            ("a", "b"),
            ("a", "--nonsense"),
            ("a", "--store", "memory:"),
            ("a", "--store", "redis://h"),
        ):
            self.assertEqual(self.refused(*arguments)[0], 1)

    def test_is_run_by_the_sub_command(self) -> None:
        self.started(self.path)
        arguments = ["chatserver", "backup", str(self.target), "--home", str(self.home)]
        self.patch(sys, "argv", arguments)
        with redirect_stdout(io.StringIO()):
            ended = self.assertRaises(SystemExit, chatserver)
        self.assertEqual((ended.code, self.target.exists()), (0, True))
