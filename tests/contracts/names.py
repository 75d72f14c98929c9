"""What every store of names must do, whatever it keeps them in."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from chatproto.directory.names import Names
from chatproto.wire.limits import Limits

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

    make: Callable[[Limits], Names]

    def names(self, **limits: float) -> Names:
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

    def test_make_room_for_a_new_one_the_longest_unused_first(self) -> None:
        names = self.names(names=2)
        names.keep("alice", ONE, 0.0)
        names.keep("bob", ONE, 1.0)
        names.keep("alice", ONE, 2.0)
        names.keep("carol", OTHER, 3.0)
        self.assertEqual([names.owner(x) for x in ("alice", "bob", "carol")], [ONE, None, OTHER])
