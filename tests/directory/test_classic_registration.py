"""Test which address is shown, and what counts as one address."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin, shown_ip
from chatproto.net.addresses import is_loopback, network
from chatproto.wire.classic import ClassicRegister
from chatproto.wire.fields import Contact


class TheShownAddress(SynchronousTestCase):
    def test_is_the_claimed_one_on_the_same_machine(self) -> None:
        self.assertEqual(shown_ip("127.0.0.1", "127.0.0.1", True), "127.0.0.1")
        self.assertEqual(shown_ip("127.0.0.4", "192.0.2.1", True), "127.0.0.4")

    def test_is_the_claimed_one_in_a_private_network(self) -> None:
        self.assertEqual(shown_ip("192.168.1.5", "203.0.113.9", False), "192.168.1.5")
        self.assertEqual(shown_ip("10.0.0.1", "10.0.0.2", False), "10.0.0.1")

    def test_is_the_observed_one_for_loopback_from_elsewhere(self) -> None:
        for claimed in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"):
            self.assertEqual(shown_ip(claimed, "8.8.4.4", False), "8.8.4.4")

    def test_is_the_observed_one_for_another_public_address(self) -> None:
        self.assertEqual(shown_ip("8.8.8.8", "8.8.4.4", False), "8.8.4.4")
        self.assertEqual(shown_ip("8.8.8.8", "8.8.8.8", False), "8.8.8.8")
        self.assertEqual(shown_ip("2a00::1", "2a00::2", False), "2a00::2")
        self.assertEqual(shown_ip("8.8.8.8", "127.0.0.1", True), "127.0.0.1")

    def test_is_the_observed_one_for_a_name(self) -> None:
        self.assertEqual(shown_ip("localhost", "8.8.4.4", False), "8.8.4.4")
        self.assertEqual(shown_ip("victim.example", "127.0.0.1", True), "127.0.0.1")

    def test_has_no_brackets(self) -> None:
        self.assertEqual(shown_ip("[fd00::1]", "fd00::1", False), "fd00::1")

    def test_stands_in_the_contact(self) -> None:
        lease = ClassicRegistration("alice", "127.0.0.1", 3000, Origin("192.0.2.1", 4000, False))
        self.assertEqual(lease.contact(), Contact("alice", "192.0.2.1", 3000))


class AnAddress(SynchronousTestCase):
    def test_is_counted_by_its_64_in_ipv6(self) -> None:
        self.assertEqual(network("2001:db8:1:2::1"), network("2001:db8:1:2:3::9"))
        self.assertNotEqual(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"))

    def test_is_counted_as_it_is_in_ipv4(self) -> None:
        self.assertEqual(network("192.0.2.1"), "192.0.2.1")
        self.assertEqual(network("::ffff:192.0.2.1"), "192.0.2.1")

    def test_may_be_loopback(self) -> None:
        for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(is_loopback(host))
        for host in ("192.0.2.1", "::2", "", "localhost"):
            self.assertFalse(is_loopback(host))


class ALease(SynchronousTestCase):
    def test_is_confirmed_by_the_same_words_on_the_same_connection(self) -> None:
        source = Origin("192.0.2.1", 4000, False)
        lease = ClassicRegistration("alice", "10.0.0.1", 3000, source)
        same = ClassicRegister("alice", "10.0.0.1", 3000)
        other = Origin("192.0.2.1", 4001, False)
        self.assertTrue(lease.confirmed_by(same, source))
        self.assertFalse(lease.confirmed_by(same, other))
        self.assertFalse(lease.confirmed_by(ClassicRegister("alice", "10.0.0.1", 3001), source))
        self.assertFalse(lease.confirmed_by(ClassicRegister("alice", "10.0.0.2", 3000), source))
