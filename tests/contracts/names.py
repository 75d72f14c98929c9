"""Contract of every store of id owners."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from chatproto.directory.id_owners import IdOwners
from tests.limits import Limits

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    Case = object


def key(number: int) -> str:
    """The name of one of many keys."""
    return "sha256:" + base64.b32encode(number.to_bytes(32, "big")).decode().rstrip("=")


ONE, OTHER = key(1), key(2)


class NamesContract(Case):
    """Mix into a test case that has `make`."""

    make: Callable[[Limits], IdOwners]

    def names(self, **limits: float) -> IdOwners:
        return self.make(Limits(**limits))  # type: ignore[arg-type]

    def test_belong_to_nobody_at_first(self) -> None:
        names = self.names()
        self.assertIsNone(names.owner("alice"))
        self.assertEqual(names.owned(ONE), ())
        self.assertFalse(names.free("alice"))

    def test_belong_to_whom_they_were_kept_for(self) -> None:
        names = self.names()
        names.keep("alice", ONE, 0.0)
        names.keep("bob", ONE, 1.0)
        names.keep("carol", OTHER, 2.0)
        self.assertEqual([names.owner(x) for x in ("alice", "bob", "carol")], [ONE, ONE, OTHER])
        self.assertEqual(sorted(names.owned(ONE)), ["alice", "bob"])
        self.assertEqual(names.owned(OTHER), ("carol",))

    def test_are_owned_with_all_that_look_alike(self) -> None:
        names = self.names()
        names.keep("alice", ONE, 0.0)
        for alike in ("Alice", "aLICE", "a1ice", "al1ce", "allce"):
            self.assertEqual(names.owner(alike), ONE)
        self.assertEqual(names.owned(ONE), ("alice",))
        self.assertIsNone(names.owner("alicia"))

    def test_are_owned_until_the_last_of_the_look_alikes_is_free(self) -> None:
        names = self.names()
        names.keep("alice", ONE, 0.0)
        names.keep("Alice", ONE, 0.0)
        self.assertTrue(names.free("alice"))
        self.assertEqual((names.owner("alice"), names.owned(ONE)), (ONE, ("Alice",)))
        self.assertTrue(names.free("Alice"))
        self.assertEqual((names.owner("alice"), names.owned(ONE)), (None, ()))

    def test_once_free_may_be_anybody_s(self) -> None:
        names = self.names()
        names.keep("alice", ONE, 0.0)
        self.assertTrue(names.free("alice"))
        self.assertFalse(names.free("alice"))
        names.keep("alice", OTHER, 1.0)
        self.assertEqual((names.owner("alice"), names.owned(ONE)), (OTHER, ()))

    def test_go_over_to_whom_they_are_kept_for_next_with_their_look_alikes(self) -> None:
        for client_id in ("alice", "Alice"):
            names = self.names()
            names.keep("alice", ONE, 0.0)
            names.keep("a1ice", ONE, 0.0)
            names.keep("bob", ONE, 0.0)
            names.keep(client_id, OTHER, 1.0)
            self.assertEqual(names.owner("alice"), OTHER)
            self.assertEqual((names.owned(ONE), names.owned(OTHER)), (("bob",), (client_id,)))
            self.assertEqual(names.expire(9.0), 2)
            self.assertIsNone(names.owner("alice"))

    def test_expire_when_unused_and_no_others(self) -> None:
        names = self.names()
        for now, name in enumerate(("alice", "bob", "carol")):
            names.keep(name, ONE, float(now))
        names.keep("alice", ONE, 3.0)
        self.assertEqual(names.expire(1.0), 0)
        self.assertEqual(names.expire(2.0), 1)
        self.assertEqual(sorted(names.owned(ONE)), ["alice", "carol"])
        self.assertIsNone(names.owner("bob"))
        self.assertEqual(names.expire(9.0), 2)

    def test_are_counted_and_never_pushed_out(self) -> None:
        names = self.names(names=2)
        for number, name in enumerate(("alice", "bob", "carol")):
            names.keep(name, key(number), float(number))
            self.assertEqual(len(names), number + 1)
        names.keep("alice", key(0), 4.0)
        self.assertEqual(len(names), 3)
        self.assertEqual([names.owner(x) for x in ("alice", "carol")], [key(0), key(2)])
        names.free("bob")
        names.expire(3.0)
        self.assertEqual((len(names), names.owner("carol")), (1, None))

    def test_know_from_which_address_they_came(self) -> None:
        names = self.names()
        names.keep("alice", ONE, 0.0, "192.0.2.1")
        names.keep("alice", ONE, 1.0, "192.0.2.2")
        self.assertTrue(names.has_from("192.0.2.1"))
        self.assertFalse(names.has_from("192.0.2.2"))
        self.assertFalse(names.has_from(""))
        names.free("alice")
        self.assertFalse(names.has_from("192.0.2.1"))

    def test_expire_sooner_when_they_were_only_registered(self) -> None:
        names = self.names()
        names.keep("used", ONE, 0.0)
        names.keep("trial", ONE, 1.0, trial=True)
        names.keep("proven", ONE, 1.0, trial=True)
        names.keep("proven", ONE, 1.0)
        names.keep("proven", ONE, 1.0, trial=True)
        self.assertEqual(names.expire(0.0, 1.0), 0)
        names.keep("trial", ONE, 2.0, trial=True)
        self.assertEqual(names.expire(0.0, 2.0), 0)
        self.assertEqual(names.expire(0.0, 2.5), 1)
        self.assertEqual(sorted(names.owned(ONE)), ["proven", "used"])

    def test_may_be_hidden_from_all_but_some(self) -> None:
        names = self.names()
        names.keep("alice", ONE, 0.0)
        self.assertIsNone(names.hidden("alice"))
        for allow in ((), (OTHER,)):
            names.hide("alice", allow)
            self.assertEqual(names.hidden("alice"), allow)
        names.hide("alice", None)
        self.assertIsNone(names.hidden("alice"))
        for gone in (lambda: names.free("alice"), lambda: names.expire(9.0)):
            names.keep("alice", ONE, 0.0)
            names.hide("alice", ())
            gone()
            names.keep("alice", OTHER, 10.0)
            self.assertIsNone(names.hidden("alice"))
            names.free("alice")

    def test_expire_a_few_at_a_time(self) -> None:
        names = self.names()
        for number in range(5):
            names.keep(f"a{number}", ONE, float(number))
            names.keep(f"b{number}", ONE, float(number), trial=True)
        self.assertEqual(names.expire(9.0, 9.0, 3), 3)
        self.assertEqual(names.expire(9.0, 9.0, 3), 3)
        self.assertEqual(names.expire(9.0, 9.0), 4)
        self.assertEqual(len(names), 0)

    def test_are_hidden_no_more_once_expired_though_one_alike_is_still_owned(self) -> None:
        names = self.names()
        for client_id, used in (("alice", 1.0), ("al1ce", 5.0)):
            names.keep(client_id, ONE, used)
            names.hide(client_id, ())
        self.assertEqual(names.expire(2.0), 1)
        self.assertIsNone(names.hidden("alice"))
        self.assertEqual(names.hidden("al1ce"), ())
