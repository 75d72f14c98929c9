"""Few passwords are checked at once, few wrong ones are taken, and nobody pays for others."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts.logins import Logins
from chatproto.accounts.realm import portal
from chatproto.wire.errors import Later, RemoteError
from tests.accounts.people import PASSWORD, Checker
from tests.limits import Limits


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.make()

    def make(self, **limits: float) -> None:
        self.clock = Clock()
        self.checker = Checker()
        self.logins = Logins(
            portal([self.checker]),
            self.clock,
            Limits(**limits),  # type: ignore[arg-type]
        )

    def login(
        self, user: str = "alice", password: str = PASSWORD, address: str = "a", key: str = "k"
    ) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.logins.login(user, password, address, key, lambda: True))

    def status(self, asked: Deferred[Any]) -> int:
        error = self.failureResultOf(asked, RemoteError).value
        assert isinstance(error, RemoteError)
        return error.status

    def retry(self, asked: Deferred[Any]) -> int:
        error = self.failureResultOf(asked, Later).value
        assert isinstance(error, Later)
        return error.retry_after


class PasswordTests(Case):
    def test_a_right_one_gives_the_account_and_a_wrong_one_403(self) -> None:
        self.assertEqual(self.successResultOf(self.login()), "alice")
        self.assertEqual(self.status(self.login(password="wrong")), 403)

    def test_the_trouble_of_a_checker_is_no_wrong_password(self) -> None:
        self.checker.held = True
        for _ in range(9):
            asked = self.login()
            self.checker.waiting.pop()[0].errback(OSError("no disk"))
            self.failureResultOf(asked, OSError)


class TriesTests(Case):
    def test_three_wrong_ones_from_an_address_are_enough_for_a_minute(self) -> None:
        for user in ("alice", "bob", "carol"):
            self.assertEqual(self.status(self.login(user, "wrong")), 403)
            self.clock.advance(10)
        asked = len(self.checker.asked)
        self.assertEqual(self.retry(self.login("dave")), 30)
        self.assertEqual(len(self.checker.asked), asked)
        self.assertEqual(self.successResultOf(self.login("dave", address="b")), "dave")
        self.clock.advance(30)
        self.assertEqual(self.successResultOf(self.login("dave")), "dave")

    def test_wrong_passwords_of_one_address_do_not_delay_others(self) -> None:
        for _ in range(9):
            self.login("alice", "wrong").addErrback(lambda _: None)
        self.assertEqual(self.status(self.login("alice")), 429)
        self.assertEqual(self.successResultOf(self.login("alice", address="b")), "alice")

    def test_a_key_that_owns_the_id_is_not_held_up_at_the_same_address_either(self) -> None:
        self.make(login_tries_per_user=3)
        for address in "aab":
            self.login("alice", "wrong", address, "another").addErrback(lambda _: None)
        for address in "ac":
            self.assertEqual(self.status(self.login("alice", address=address)), 429)
        owner = self.logins.login("alice", PASSWORD, "a", "hers", lambda: True, True)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(owner)), "alice")

    def test_one_account_leaves_places_to_others(self) -> None:
        self.checker.held = True
        asked = [self.login("alice", "wrong") for _ in range(70)]
        more = [self.login("alice", "wrong", f"address {n}") for n in range(70)]
        self.assertEqual(sum(not one.called for one in asked), 8)
        self.assertEqual(sum(not one.called for one in more), 40)
        owner = Deferred.fromCoroutine(
            self.logins.login("bob", PASSWORD, "a", "his", lambda: True, True)
        )
        while self.checker.waiting:
            self.checker.let_go()
        self.assertEqual(self.successResultOf(owner), "bob")
        for one in (*asked, *more):
            one.addErrback(lambda _: None)
        self.assertEqual(self.logins._waiting[""], 0)

    def test_tries_for_one_user_are_limited_over_all_addresses(self) -> None:
        self.make(login_tries_per_user=3)
        for address in "abc":
            self.assertEqual(self.status(self.login("alice", "wrong", address)), 403)
        self.assertEqual(self.retry(self.login("alice", address="d")), 60)
        self.assertEqual(self.successResultOf(self.login("bob", address="d")), "bob")

    def test_but_not_for_a_key_that_was_right_before(self) -> None:
        self.successResultOf(self.login("alice", key="hers"))
        for number in range(30):
            wrong = self.login("alice", "wrong", f"{number}", "another")
            wrong.addErrback(lambda _: None)
        self.assertEqual(self.status(self.login("alice", address="e", key="x")), 429)
        self.successResultOf(self.login("alice", key="hers"))
        for address in "fgh":
            wrong = self.login("alice", "wrong", address, "hers")
            self.assertEqual(self.status(wrong), 403)
        self.assertEqual(self.status(self.login("alice", address="i", key="hers")), 429)

    def test_right_ones_are_not_counted(self) -> None:
        for _ in range(20):
            self.successResultOf(self.login())

    def test_simultaneous_logins_have_no_more_tries_than_sequential_ones(self) -> None:
        self.checker.held = True
        asked = [self.login(f"user{number}", "wrong") for number in range(20)]
        while self.checker.waiting:
            self.assertEqual(len(self.checker.waiting), 1)
            self.checker.let_go()
        self.assertEqual(len(self.checker.asked), 3)
        self.assertEqual([self.status(one) for one in asked], [403] * 3 + [429] * 17)


class PlaceTests(Case):
    def test_four_are_checked_at_once(self) -> None:
        self.checker.held = True
        asked = [self.login(f"user{number}", address=str(number)) for number in range(10)]
        self.assertEqual(len(self.checker.waiting), 4)
        self.checker.let_go()
        self.assertEqual(len(self.checker.waiting), 4)
        while self.checker.waiting:
            self.checker.let_go()
        self.assertEqual([self.successResultOf(one) for one in asked][9], "user9")

    def test_logins_beyond_the_queue_are_refused_at_once(self) -> None:
        self.make(logins_waiting=8)  # a quarter is not for strangers
        self.checker.held = True
        asked = [self.login(f"user{number}", address=str(number)) for number in range(7)]
        self.assertEqual(self.retry(asked.pop()), 5)
        while self.checker.waiting:
            self.checker.let_go()
        for one in asked:
            self.successResultOf(one)
        self.checker.held = False
        self.successResultOf(self.login())

    def test_login_of_a_lost_connection_is_not_checked(self) -> None:
        self.checker.held = True
        here = [True]
        self.login()
        waits = Deferred.fromCoroutine(
            self.logins.login("bob", PASSWORD, "a", "k", lambda: here[0])
        )
        here[0] = False
        self.checker.let_go()
        self.assertIsNone(self.successResultOf(waits))
        self.assertEqual(self.checker.asked, ["alice"])

    def test_finished_logins_leave_nothing_behind(self) -> None:
        self.checker.held = True
        for number in range(10):
            self.login(f"user{number % 3}", address=str(number % 2))
        while self.checker.waiting:
            self.checker.let_go()
        self.assertEqual(self.logins._locks, {})
        self.assertEqual(+self.logins._waiting, Counter())
