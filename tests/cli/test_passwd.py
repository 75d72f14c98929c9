"""`chatserver passwd` keeps a file of accounts, and takes passwords from nowhere but where it should."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts.passwords import is_right, load
from chatproto.cli import asking, passwd
from chatproto.cli.server_options import ServerOptions


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.path = Path(self.mktemp())
        self.pipe(b"")

    def pipe(self, data: bytes) -> None:
        """Put `data` on standard input."""
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    def type(self, *lines: str) -> None:
        """Answer the prompts of a terminal with `lines`."""
        typed = iter(lines)
        self.prompts: list[str] = []

        def getpass(prompt: str) -> str:
            self.prompts.append(prompt)
            line = next(typed, None)
            if line is None:
                raise EOFError
            return line

        self.patch(sys, "stdin", SimpleNamespace(isatty=lambda: True))
        self.patch(asking, "getpass", SimpleNamespace(getpass=getpass))

    def does(self, *words: str, code: int = 0) -> str:
        """Run `chatserver passwd` and return its output; its errors are in `errors`."""
        said = io.StringIO()
        with redirect_stdout(said), self.assertRaises(SystemExit) as caught:
            ServerOptions().parseOptions(["passwd", *words])
        self.assertEqual(caught.exception.code, code, self.errors.getvalue())
        return said.getvalue()

    def fails(self, *words: str, code: int = 1) -> str:
        self.assertEqual(self.does(*words, code=code), "")
        said = self.errors.getvalue()
        self.errors.truncate(0)
        self.errors.seek(0)
        self.assertEqual(said.count("\n"), 1)
        return said


class AddTests(Case):
    def right(self, user: str, password: str) -> bool:
        return is_right(password, load(self.path).hash_of(user) or "")

    def test_a_line_of_a_pipe_is_the_password(self) -> None:
        self.pipe("wönderland \r\nnot this\n".encode())
        said = self.does("add", "alice", "--file", str(self.path))
        self.assertEqual(said, "account added: alice\n")
        self.assertTrue(self.right("alice", "wönderland "))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_options_may_stand_anywhere_and_be_those_of_the_server(self) -> None:
        self.pipe(b"one")
        self.does("--auth", f"argon2:{self.path}", "add", "alice")
        self.pipe(b"two")
        said = self.does("add", f"--file={self.path}", "alice")
        self.assertEqual(said, "password changed: alice\n")
        self.assertTrue(self.right("alice", "two"))

    def test_terminal_asks_twice_without_echo(self) -> None:
        self.type("one", "one")
        self.does("add", "alice", "--file", str(self.path))
        self.assertEqual(self.prompts, ["Password of alice: ", "Again: "])
        self.assertTrue(self.right("alice", "one"))
        self.type("two", "too")
        self.assertIn("passwords differ", self.fails("add", "alice", "--file", str(self.path)))
        self.type()
        self.assertIn("no password", self.fails("add", "alice", "--file", str(self.path)))
        self.assertTrue(self.right("alice", "one"))

    def test_invalid_password_is_refused(self) -> None:
        for data in (b"", b"\n", b"x" * 1025, b"\xff\n"):
            self.pipe(data)
            self.fails("add", "alice", "--file", str(self.path))
        self.assertFalse(self.path.exists())
        self.pipe(b"x" * 1024 + b"\n")
        self.does("add", "alice", "--file", str(self.path))

    def test_line_that_resembles_an_account_is_none(self) -> None:
        self.pipe(b"x")
        self.does("add", "alice", "--file", str(self.path))
        self.assertIn("looks like alice", self.fails("add", "A1ice", "--file", str(self.path)))

    def test_similar_name_added_meanwhile_is_refused(self) -> None:
        self.pipe(b"x")
        self.does("add", "alice", "--file", str(self.path))
        accounts = self.path.read_text()
        self.path.unlink()

        def typed(user: str) -> str:
            self.path.write_text(accounts)
            return "x"

        self.patch(passwd, "_password", typed)
        self.assertIn("looks like alice", self.fails("add", "A1ice", "--file", str(self.path)))
        self.assertEqual(self.path.read_text(), accounts)

    def test_a_password_is_not_taken_from_the_command_line(self) -> None:
        self.pipe(b"x")
        self.assertIn("one user", self.fails("add", "alice", "secret", "--file", str(self.path)))


class OtherTests(Case):
    def test_accounts_are_listed_and_removed(self) -> None:
        for user in ("bob", "alice"):
            self.pipe(b"x")
            self.does("add", user, "--file", str(self.path))
        self.assertEqual(self.does("list", "--file", str(self.path)), "alice\nbob\n")
        self.does("remove", "bob", "--file", str(self.path))
        self.assertEqual(self.does("list", "--file", str(self.path)), "alice\n")
        self.assertIn("no account", self.fails("remove", "bob", "--file", str(self.path)))

    def test_impossible_options_are_one_line(self) -> None:
        name = str(self.path)
        for words in (
            (),
            ("change", "alice", "--file", name),
            ("add", "--file", name),
            ("list", "alice", "--file", name),
            ("add", "a:b", "--file", name),
            ("add", "#a", "--file", name),
            ("add", "alice"),
            ("add", "alice", "--auth", f"file:{name}"),
            ("add", "alice", "--auth", "argon2:"),
            ("add", "alice", "--file", name, "--auth", f"argon2:{name}"),
            ("add", "alice", "--password", "x"),
            ("add", "alice", "--store", "sqlite:x"),
            ("add", "alice", "--store", "redis://h", "--file", name),
            ("add", "alice", "--store", "redis://h/x"),
            ("add", "alice", "--file", name, "--redis-ca", name),
            ("add", "alice", "--file", name, "--redis-replicas", "1"),
            ("add", "alice", "--store", "redis://h", "--redis-replicas", "10"),
            ("add", "alice", "--store", "redis://h", "--redis-replicas", "-1"),
        ):
            self.assertTrue(self.fails(*words).startswith("chatserver passwd: "), words)

    def test_a_file_that_cannot_be_used_is_code_2(self) -> None:
        said = self.fails("list", "--file", str(self.path), code=2)
        self.assertTrue(said.startswith(f"chatserver passwd: cannot read {self.path}"), said)
        self.path.write_text("rubbish\n")
        self.assertIn("line 1", self.fails("add", "alice", "--file", str(self.path), code=2))
