"""Connections by address."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.server import factory
from chatproto.server.factory import Addresses
from tests.limits import Limits

HOST = "192.0.2.1"


class AnAddress(SynchronousTestCase):
    def admitted(self, table: Addresses, count: int, now: float, host: str = HOST) -> int:
        return sum(table.admit(host, now) for _ in range(count))

    def test_has_a_limit_of_connections(self) -> None:
        table = Addresses(Limits())
        self.assertEqual(self.admitted(table, 300, 0.0), 256)
        table.leave(HOST)
        self.assertEqual(self.admitted(table, 2, 0.0), 1)

    def test_may_open_a_burst_and_then_so_many_a_second(self) -> None:
        table = Addresses(Limits())
        opened = 0
        for _ in range(700):
            if table.admit(HOST, 0.0):
                opened += 1
                table.leave(HOST)
        self.assertEqual(opened, 600)
        self.assertEqual(self.admitted(table, 100, 1.0), 60)

    def test_gains_no_more_than_a_burst_and_nothing_from_a_clock_set_back(self) -> None:
        table = Addresses(Limits(new_burst=5, new_rate=1))
        self.assertEqual(self.admitted(table, 9, 0.0), 5)
        self.assertEqual(self.admitted(table, 9, -100.0), 0)
        self.assertEqual(self.admitted(table, 9, 100.0), 5)

    def test_is_a_64_in_ipv6(self) -> None:
        table = Addresses(Limits(connections_per_address=1))
        self.assertTrue(table.admit("2001:db8::1", 0.0))
        self.assertFalse(table.admit("2001:db8::2", 0.0))
        self.assertTrue(table.admit("2001:db8:0:1::1", 0.0))

    def test_is_removed_beyond_the_limit_unless_connected(self) -> None:
        self.patch(factory, "MOST_KNOWN", 3)
        table = Addresses(Limits(connections_per_address=1))
        self.assertTrue(table.admit(HOST, 0.0))
        for number in range(50):
            host = f"198.51.100.{number}"
            self.assertTrue(table.admit(host, 0.0))
            table.leave(host)
            self.assertLessEqual(len(table), 5)
        self.assertFalse(table.admit(HOST, 0.0))

    def test_unseen_for_longest_is_removed_first(self) -> None:
        self.patch(factory, "MOST_KNOWN", 3)
        table = Addresses(Limits(new_burst=1, new_rate=0))
        one, two, three, four = (f"198.51.100.{number}" for number in range(4))
        for host in (one, two, three):
            self.assertTrue(table.admit(host, 0.0))
            table.leave(host)
        # All three are remembered, and the first is the one seen last.
        self.assertEqual([table.admit(host, 0.0) for host in (two, three, one)], [False] * 3)
        self.assertTrue(table.admit(four, 0.0))
        self.assertFalse(table.admit(one, 0.0))
        self.assertTrue(table.admit(two, 0.0))
