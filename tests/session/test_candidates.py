"""Test which addresses are told and dialled, and the names of paths."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.candidates import Route, in_turn, route_of, worth_dialling, worth_telling

PUBLIC, OTHER, LAN, V6, V6_OTHER = "198.41.0.4", "8.8.8.8", "192.168.1.5", "2606:4700::1", "2620::9"
HOSTS = st.one_of(
    st.ip_addresses().map(str), st.sampled_from(["127.0.0.1", "::1", "a.name", "fe80::1", LAN])
)


class CandidateTests(SynchronousTestCase):
    def test_each_kind_of_address_is_handled(self) -> None:
        for host, far, near in (
            (PUBLIC, True, True),
            (LAN, True, True),
            ("fd00::7", True, True),
            (V6, True, True),
            ("127.0.0.1", False, True),
            ("127.1.2.3", False, True),
            ("::1", False, True),
            ("::ffff:127.0.0.1", False, True),
            ("169.254.1.1", False, False),
            ("fe80::1", False, False),
            ("fe80::1%eth0", False, False),
            ("224.0.0.1", False, False),
            ("ff02::1", False, False),
            ("0.0.0.0", False, False),
            ("0.1.2.3", False, False),
            ("::", False, False),
            ("255.255.255.255", False, False),
            ("240.0.0.1", False, False),
            ("a.name", False, False),
        ):
            for local, expected in ((False, far), (True, near)):
                self.assertEqual(bool(worth_dialling([(host, 4000)], local)), expected, host)
                self.assertEqual(bool(worth_telling([host], 4000, local)), expected, host)

    def test_no_port_below_1024_and_not_where_we_listen(self) -> None:
        told = [(PUBLIC, 1023), (PUBLIC, 1024), (LAN, 4000), (PUBLIC, 1024)]
        self.assertEqual(worth_dialling(told, False, {(LAN, 4000)}), ((PUBLIC, 1024),))

    def test_announced_addresses_replace_the_others(self) -> None:
        announced = ((PUBLIC, 4000), (V6, 4001))
        self.assertEqual(worth_telling([LAN], 5000, True, announced), announced)
        self.assertEqual(worth_telling([LAN, LAN, V6], 5000, False), ((LAN, 5000), (V6, 5000)))

    def test_the_families_by_turns_ipv6_first(self) -> None:
        given = ((PUBLIC, 1), (OTHER, 2), (V6, 3), (LAN, 4), (V6_OTHER, 5))
        expected = ((V6, 3), (PUBLIC, 1), (V6_OTHER, 5), (OTHER, 2), (LAN, 4))
        self.assertEqual(in_turn(given), expected)
        self.assertEqual(worth_dialling([(h, p + 2000) for h, p in given], False)[0][0], V6)

    @given(st.lists(st.tuples(HOSTS, st.integers(1, 65535)), max_size=20), st.booleans())
    def test_whatever_a_server_says_nothing_is_dialled_that_must_not_be(
        self, told: list[tuple[str, int]], local: bool
    ) -> None:
        found = worth_dialling(told, local)
        self.assertLessEqual(len(found), 8)
        self.assertEqual(len(set(found)), len(found))
        self.assertLessEqual(set(found), set(told))
        for host, port in found:
            address = ip_address(host)
            self.assertGreaterEqual(port, 1024)
            self.assertFalse(address.is_multicast or address.is_link_local)
            self.assertTrue(local or not address.is_loopback)

    def test_paths_have_names(self) -> None:
        for host, relayed, both, expected in (
            (PUBLIC, True, False, Route.RELAYED),
            (LAN, True, False, Route.RELAYED),
            (PUBLIC, False, False, Route.DIRECT),
            (PUBLIC, False, True, Route.PUNCHED),
            (V6, False, True, Route.PUNCHED),
            (LAN, False, True, Route.SAME_NETWORK),
            ("127.0.0.1", False, False, Route.SAME_NETWORK),
            ("fe80::1%eth0", False, False, Route.SAME_NETWORK),
        ):
            self.assertEqual(route_of(host, relayed, both), expected, host)
