"""`--auth` finds our checker beside Twisted's own, and one portal asks them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.cred.checkers import ANONYMOUS
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.cred.strcred import makeChecker
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts import checker as module
from chatproto.accounts.checker import Argon2Checker
from chatproto.accounts.files import AccountTrouble
from chatproto.accounts.passwords import hashed, nobodys
from chatproto.accounts.realm import Account, Accounts, IAccount, portal


def credentials(user: str, password: str) -> UsernamePassword:
    return UsernamePassword(user.encode(), password.encode())


class Argon2Tests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(f"alice:{hashed('wonderland')}\n")

    def test_strcred_creates_the_checker_from_a_file(self) -> None:
        checker = makeChecker(f"argon2:{self.path}")
        self.assertIsInstance(checker, Argon2Checker)
        self.assertRaises(ValueError, makeChecker, "argon2:")
        self.assertRaises(AccountTrouble, makeChecker, "argon2:/not/there")

    def test_users_in_the_file_can_log_in(self) -> None:
        checker = Argon2Checker(self.path)
        right = checker.requestAvatarId(credentials("alice", "wonderland"))
        self.assertEqual(self.successResultOf(right), b"alice")
        for user, password in (("alice", "Wonderland"), ("bob", "wonderland"), ("älice", "x")):
            wrong = checker.requestAvatarId(credentials(user, password))
            self.failureResultOf(wrong, UnauthorizedLogin)

    def test_unknown_user_costs_as_much_work_as_a_known_one(self) -> None:
        work: list[str] = []

        def is_right(password: str, known: str) -> bool:
            work.append(known)
            return True  # not even then

        self.patch(module, "is_right", is_right)
        checker = Argon2Checker(self.path)
        self.failureResultOf(checker.requestAvatarId(credentials("bob", "x")), UnauthorizedLogin)
        self.successResultOf(checker.requestAvatarId(credentials("alice", "x")))
        self.assertEqual(*(known.rsplit("$", 2)[0] for known in work))
        self.assertEqual(len(work[0]), len(work[1]))

    def test_hashing_runs_in_the_given_thread_pool(self) -> None:
        handed: list[object] = []

        def in_thread(work: object) -> Deferred[bool]:
            handed.append(work)
            return Deferred()

        checker = Argon2Checker(self.path)
        checker.in_thread = in_thread
        self.assertNoResult(checker.requestAvatarId(credentials("alice", "wonderland")))
        self.assertEqual(len(handed), 1)

    def test_new_user_can_log_in_without_a_restart(self) -> None:
        checker = Argon2Checker(self.path)
        with self.path.open("a") as file:
            file.write(f"bob:{hashed('builder')}\n")
        found = checker.requestAvatarId(credentials("bob", "builder"))
        self.assertEqual(self.successResultOf(found), b"bob")

    def test_argon2_is_loaded_on_demand_only(self) -> None:
        program = (
            "import sys, chatproto.cli.server_program\n"
            "from twisted.cred.strcred import findCheckerFactory\n"
            "findCheckerFactory('argon2')\n"
            "print('argon2' in sys.modules)\n"
        )
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(said.stdout, "False\n", said.stderr)


class PortalTests(SynchronousTestCase):
    def test_each_of_several_checkers_can_admit(self) -> None:
        path = Path(self.mktemp())
        path.write_text(f"alice:{nobodys()}\n")
        asked = portal([Argon2Checker(path), makeChecker("memory:alice:one:bob:two")])
        for user, password in (("alice", "one"), ("bob", "two")):
            found = self.successResultOf(asked.login(credentials(user, password), None, IAccount))
            self.assertEqual(found[:2], (IAccount, Account(user)))
            self.assertIsNone(found[2]())
        wrong = asked.login(credentials("bob", "three"), None, IAccount)
        self.failureResultOf(wrong, UnauthorizedLogin)

    def test_anonymous_login_is_refused(self) -> None:
        self.assertRaises(LoginDenied, Accounts().requestAvatar, ANONYMOUS, None, IAccount)
