"""Test the limits on introductions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory import introducing as module
from chatproto.directory.introducing import MINUTE, Introductions
from chatproto.wire.errors import RemoteError
from tests.contracts.names import key
from tests.limits import Limits

A, B, C = key(1), key(2), key(3)
LIMITS = Limits(
    introductions_from=2, introductions_to=3, introductions_vain=4, introductions_reserve=0
)


class Introduced(SynchronousTestCase):
    def setUp(self) -> None:
        self.counted = Introductions(LIMITS)

    def refused(self, caller: str, callee: str, now: float) -> None:
        error = self.assertRaises(RemoteError, self.counted.count, caller, callee, now)
        self.assertEqual(error.status, 429)

    def test_by_one_key_are_limited_per_minute(self) -> None:
        self.counted.count(A, B, 0.0)
        self.counted.count(A, C, 10.0)
        self.refused(A, B, MINUTE - 0.1)
        self.counted.count(B, C, 20.0)
        self.counted.count(A, B, MINUTE)
        self.refused(A, B, MINUTE + 1)

    def test_to_one_key_are_limited_per_minute(self) -> None:
        for number in range(3):
            self.counted.count(key(10 + number), B, float(number))
        self.refused(A, B, 3.0)
        self.counted.count(A, C, 3.0)
        self.counted.count(A, B, MINUTE)

    def test_to_each_other_are_not_counted(self) -> None:
        self.counted.count(B, A, 0.0)
        for _ in range(20):
            self.counted.count(A, B, 1.0)
            self.counted.count(B, A, 1.0)
        self.counted.count(C, B, 1.0)

    def test_unknown_callers_leave_room_for_known_ones(
        self,
    ) -> None:
        self.counted = Introductions(Limits())
        for number in range(20):
            self.counted.count(key(10 + number), B, 0.0, "192.0.2.1")
        error = self.assertRaises(RemoteError, self.counted.count, A, B, 0.0, "192.0.2.1")
        self.assertEqual(error.status, 429)
        for number in range(20):
            self.counted.count(key(50 + number), B, 0.0, f"198.51.100.{number}")
        self.assertRaises(RemoteError, self.counted.count, A, B, 0.0, "203.0.113.1")
        for number in range(20):
            self.counted.count(key(80 + number), B, 0.0, "192.0.2.1", True)
        self.assertRaises(RemoteError, self.counted.count, A, B, 0.0, "192.0.2.1", True)
        self.counted.count(A, B, MINUTE, "192.0.2.1")

    def test_are_not_counted_when_refused(self) -> None:
        for now in (0.0, 0.0):
            self.counted.count(A, B, now)
        for _ in range(10):
            self.refused(A, B, 30.0)
        self.counted.count(A, B, MINUTE)

    def test_in_vain_have_their_own_limit(self) -> None:
        for number in range(4):
            self.counted.count_in_vain(A, float(number))
        error = self.assertRaises(RemoteError, self.counted.count_in_vain, A, 4.0)
        self.assertEqual(error.status, 429)
        self.counted.count_in_vain(B, 4.0)
        self.counted.count(A, B, 4.0)
        self.counted.count(A, C, 4.0)
        self.counted.count_in_vain(A, MINUTE)

    def test_to_one_whose_connection_ended_are_not_counted(self) -> None:
        for _ in range(3):
            self.counted.count(A, B, 1.0)
            self.counted.lost(B)
        self.counted.count(A, C, 2.0)
        self.counted.count(A, C, 2.0)
        self.counted.lost(key(99))
        self.refused(A, C, 3.0)

    def test_to_a_reconnecting_client_are_still_limited(self) -> None:
        for _ in range(3):
            self.counted.count(A, B, 1.0)
            self.counted.lost(B)
        self.refused(C, B, 2.0)

    def test_are_forgotten_in_time(self) -> None:
        self.patch(module, "MOST", 3)
        for number in range(10):
            self.counted.count(key(100 + number), key(200 + number), 0.0)
        self.assertEqual((len(self.counted._pairs), len(self.counted._callees)), (3, 3))
        self.assertEqual(len(self.counted._by_callee), 3)

    @given(st.lists(st.tuples(st.integers(5, 9), st.integers(0, 30)), max_size=60))
    def test_never_pass_either_bound_in_any_minute(self, asked: list[tuple[int, int]]) -> None:
        counted, now, done = Introductions(LIMITS), 0.0, list[tuple[int, float]]()
        for caller, wait in asked:
            now += wait
            try:
                counted.count(key(caller), B, now)
            except RemoteError:
                continue
            done.append((caller, now))
            recent = [one for one, at in done if at > now - MINUTE]
            self.assertLessEqual(len(recent), 3)
            self.assertLessEqual(recent.count(caller), 2)
