"""The server's options that say who may come in."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts.passwords import nobodys
from chatproto.cli.server_options import ServerOptions
from chatproto.server.login_side import EVERYBODY
from chatproto.wire.reasons import CodedError, Reason
from tests.contracts.names import key
from tests.limits import DEFAULTS


class Threaded(MemoryReactorClock):
    def getThreadPool(self) -> None:
        """None that works."""


class AuthOptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.home = Path(self.mktemp())
        self.path = Path(self.mktemp())

    def parsed(self, *arguments: str) -> ServerOptions:
        options = ServerOptions()
        options.parseOptions(["--home", str(self.home), *arguments])
        return options

    def refused(self, code: int, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            self.parsed(*arguments)
        self.assertEqual(caught.exception.code, code, arguments)
        said = self.errors.getvalue()
        self.assertEqual(said.count("\n"), 1, said)
        self.errors.truncate(0)
        self.errors.seek(0)
        return said

    def test_no_login_is_required_by_default(self) -> None:
        options = self.parsed()
        self.assertFalse(options["tls-only"])
        self.assertIs(options.login_side(MemoryReactorClock(), DEFAULTS), EVERYBODY)

    def test_logins_or_keys_exclude_plain_text(self) -> None:
        self.path.write_text(f"{key(1)}\n")
        for arguments in (
            ("--require", "tls"),
            ("--require", "login", "--auth", "memory:alice:x"),
            ("--allow-keys", str(self.path)),
        ):
            self.assertTrue(self.parsed(*arguments)["tls-only"], arguments)
            self.assertIn("plain text", self.refused(1, *arguments, "--lobby", "12345"))
        self.assertFalse(self.parsed("--auth", "memory:alice:x")["tls-only"])

    def test_keys_are_let_in_by_the_file(self) -> None:
        self.path.write_text(f"{key(1)}\n")
        options = self.parsed("--allow-keys", str(self.path))
        side = options.login_side(MemoryReactorClock(), DEFAULTS)
        self.assertEqual([side.allows(key(1)), side.allows(key(2))], [True, False])
        self.assertFalse(side.has_accounts)

    def test_checkers_may_be_several_and_ours_works_in_threads(self) -> None:
        self.path.write_text(f"alice:{nobodys()}\n")
        options = self.parsed("--auth", f"argon2:{self.path}", "--auth", "memory:bob:x")
        ours, other = options["credCheckers"]
        before = ours.in_thread
        side = options.login_side(Threaded(), DEFAULTS)
        self.assertTrue(side.has_accounts)
        self.assertIsNot(ours.in_thread, before)
        self.assertFalse(hasattr(other, "in_thread"))

    def test_files_are_read_again_on_request(self) -> None:
        self.path.write_text(f"{key(1)}\n")
        accounts = Path(self.mktemp())
        accounts.write_text(f"alice:{nobodys()}\n")
        arguments = ("--auth", f"argon2:{accounts}", "--allow-keys", str(self.path))
        options = self.parsed(*arguments, "--auth", "memory:bob:x")
        self.path.write_text(f"{key(2)}\n")
        lines = list(options.read_again())
        self.assertEqual(
            lines, [f"read again: {accounts.absolute()}", f"read again: {self.path.absolute()}"]
        )
        self.assertEqual(options["allowed"].value(), {key(2)})
        accounts.unlink()
        again = options.read_again()
        self.assertEqual(next(again), f"read again: {self.path.absolute()}")
        error = self.assertRaises(CodedError, next, again)
        self.assertEqual(error.reason, Reason.FILE_TROUBLE)
        (line,) = self.parsed().read_again()
        self.assertIn("nothing to read again", line)

    def test_secrets_for_redis_are_read_again(self) -> None:
        self.path.write_text("one\n")
        self.path.chmod(0o600)
        redis = ("--store", "redis://cache/2", "--redis-password-file", str(self.path))
        options = self.parsed(*redis)
        self.path.write_text("other\n")
        self.assertEqual(options["redis"].password, "one")
        (line,) = options.read_again()
        self.assertIn(str(self.path), line)
        self.assertEqual(options["redis"].password, "other")
        self.path.unlink()
        self.assertRaises(CodedError, next, options.read_again())
        self.assertEqual(options["redis"].password, "other")

    def test_accounts_may_be_in_the_redis_of_the_store(self) -> None:
        options = self.parsed("--auth", "redis", "--store", "redis://h", "--require", "login")
        self.assertTrue(options.login_side(Threaded(), DEFAULTS).has_accounts)

    def test_impossible_options_are_one_line(self) -> None:
        for arguments, why in (
            (("--require", "keys"), "--require is one of none, tls, login"),
            (("--require", "login"), "needs accounts"),
            (("--auth", "magic:x"), "--help-auth lists them"),
            (("--auth", "argon2:"), "argon2:FILE"),
            (("--auth", "memory:alice"), "--auth memory:"),
            (("--auth", "anonymous"), "does not check passwords"),
            (("--auth", "redis"), "add --store redis://HOST"),
            (("--auth", "redis:file", "--store", "redis://h"), "add --store redis://HOST"),
        ):
            self.assertIn(why, self.refused(1, *arguments))

    def test_missing_checker_file_exits_with_code_2(self) -> None:
        said = self.refused(2, "--auth", f"file:{self.path}")
        self.assertIn(f"cannot read {self.path}: No such file", said)

    def test_a_file_that_cannot_be_used_is_code_2(self) -> None:
        missing = str(self.path)
        for arguments in (("--auth", f"argon2:{missing}"), ("--allow-keys", missing)):
            self.assertIn("No such file", self.refused(2, *arguments))
        self.path.write_text("rubbish\n")
        for arguments in (("--auth", f"argon2:{missing}"), ("--allow-keys", missing)):
            self.assertIn("line 1", self.refused(2, *arguments))
