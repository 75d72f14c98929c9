"""The client's `--user`: where its password comes from, and where it never goes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import asking
from chatproto.cli.client_options import Options


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.patch(sys, "stdin", io.StringIO())
        self.path = Path(self.mktemp())
        os.environ.pop(asking.ENVIRONMENT, None)
        self.addCleanup(os.environ.pop, asking.ENVIRONMENT, None)

    def password(self, *arguments: str) -> str:
        options = Options()
        options.parseOptions(["--home", self.mktemp(), "--user", "alice", *arguments])
        self.addCleanup(options["opened"].close)
        self.addCleanup(options["ledger"].close)
        password: str = options["password"]
        return password

    def refused(self, code: int, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            Options().parseOptions(["--home", self.mktemp(), *arguments])
        self.assertEqual(caught.exception.code, code, arguments)
        said = self.errors.getvalue()
        self.errors.truncate(0)
        self.errors.seek(0)
        self.assertEqual(said.count("\n"), 1)
        return said

    def test_password_is_the_first_line_of_the_file(self) -> None:
        self.path.write_text("pässword\r\nnot this\n", encoding="utf-8")
        os.environ[asking.ENVIRONMENT] = "another"
        self.assertEqual(self.password("--password-file", str(self.path)), "pässword")

    def test_password_is_removed_from_the_environment(self) -> None:
        os.environ[asking.ENVIRONMENT] = "secret"
        self.assertEqual(self.password(), "secret")
        self.assertNotIn(asking.ENVIRONMENT, os.environ)

    def test_terminal_is_asked_once_otherwise(self) -> None:
        prompts: list[str] = []

        def getpass(prompt: str) -> str:
            prompts.append(prompt)
            return "typed"

        self.patch(sys, "stdin", SimpleNamespace(isatty=lambda: True))
        self.patch(asking, "getpass", SimpleNamespace(getpass=getpass))
        self.assertEqual(self.password(), "typed")
        self.assertEqual(prompts, ["Password of alice: "])

    def test_impossible_options_are_one_line(self) -> None:
        self.path.write_text("\n")
        user = ("--user", "alice")
        file = ("--password-file", str(self.path))
        for arguments, why in (
            (user, "--password-file or CHATPROTO_PASSWORD, or use a terminal"),
            ((*user, *file), "from 1 to 1024 bytes"),
            (file, "--password-file needs --user"),
            (("--user", "a b"), "not a valid account name"),
            ((*user, *file, "--plain"), "needs TLS"),
        ):
            self.assertIn(why, self.refused(1, *arguments))
        self.assertIn("No such", self.refused(2, *user, "--password-file", "/not/there"))
