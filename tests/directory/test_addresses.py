"""Test which addresses of a client are announced to its peer."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.addresses import announced_to
from chatproto.directory.registrations import ClientConnection, Registration
from tests.contracts.names import ONE, OTHER

SEEN_PORT = 40000
PUBLIC, ELSEWHERE = "198.41.0.4", "199.9.14.201"
V6, V6_OTHER, V6_THIRD = "2606:4700::1", "2606:4700::2", "2606:4700::3"
SECRET = ("10.0.0.7", 4000)


def them(
    host: str, *addresses: tuple[str, int], port: int = 5000, local: bool = False
) -> Registration:
    """Make a client seen at `host` that claims `addresses`."""
    return Registration(
        "b", OTHER, port, addresses, 60, True, (), ClientConnection(OTHER, host, SEEN_PORT, local)
    )


def seen(host: str, local: bool = False) -> ClientConnection:
    """The one who is told."""
    return ClientConnection(ONE, host, 40001, local)


class WhatIsTold(SynchronousTestCase):
    def test_the_observed_address_with_both_ports_always_and_last(self) -> None:
        last = ((PUBLIC, 5000), (PUBLIC, SEEN_PORT))
        for claimed in ((), last, last[::-1], ((PUBLIC, 6000), *last)):
            self.assertEqual(announced_to(them(PUBLIC, *claimed), seen(ELSEWHERE))[-2:], last)
        self.assertEqual(announced_to(them(PUBLIC), seen(ELSEWHERE)), last)

    def test_an_observed_port_that_is_the_claimed_one_or_of_this_machine_only_once(self) -> None:
        for at in (them(PUBLIC, port=SEEN_PORT), them(PUBLIC, port=SEEN_PORT, local=True)):
            self.assertEqual(announced_to(at, seen(ELSEWHERE)), ((PUBLIC, SEEN_PORT),))
        found = announced_to(them(PUBLIC, local=True), seen(ELSEWHERE))
        self.assertEqual(found, ((PUBLIC, 5000),))

    def test_each_kind_of_claim(self) -> None:
        lan, lan_other = "192.168.1.5", "10.1.2.3"
        for claimed, at, to, expected in (
            # public, with the observed host and without
            (PUBLIC, PUBLIC, ELSEWHERE, True),
            (ELSEWHERE, PUBLIC, "8.8.8.8", False),
            # private, seen at one address, both in private space, and neither
            (SECRET[0], PUBLIC, PUBLIC, True),
            (SECRET[0], lan, lan_other, True),
            (SECRET[0], PUBLIC, ELSEWHERE, False),
            (SECRET[0], lan, ELSEWHERE, False),
            (SECRET[0], PUBLIC, lan, False),
            ("fd00::7", PUBLIC, PUBLIC, True),
            ("fd00::7", PUBLIC, ELSEWHERE, False),
            # global IPv6 that was not observed
            (V6, PUBLIC, ELSEWHERE, True),
            # never
            ("127.0.0.1", PUBLIC, PUBLIC, False),
            ("127.0.0.1", lan, lan_other, False),
            ("::1", lan, lan_other, False),
            ("::ffff:127.0.0.1", lan, lan_other, False),
            ("169.254.1.1", lan, lan_other, False),
            ("fe80::1", lan, lan_other, False),
            ("224.0.0.1", lan, lan_other, False),
            ("239.1.1.1", lan, lan_other, False),
            ("ff02::1", lan, lan_other, False),
            ("ff0e::1", lan, lan_other, False),
            ("0.0.0.0", lan, lan_other, False),
            ("::", lan, lan_other, False),
            ("255.255.255.255", lan, lan_other, False),
            ("240.0.0.1", lan, lan_other, False),
            ("0.1.2.3", lan, lan_other, False),
            ("a.name", lan, lan_other, False),
        ):
            found = announced_to(them(at, (claimed, 4000)), seen(to))
            self.assertEqual((claimed, 4000) in found, expected, (claimed, at, to))
            self.assertEqual(found[-2:], ((at, 5000), (at, SEEN_PORT)))
            self.assertEqual(len(found), 2 + expected)

    def test_loopback_only_between_two_on_the_server_s_machine(self) -> None:
        for one, other in ((True, True), (True, False), (False, True), (False, False)):
            at = them("192.168.1.5", ("127.0.0.1", 4000), ("::1", 4000), local=one)
            found = announced_to(at, seen("192.168.1.6", other))
            self.assertEqual(("127.0.0.1", 4000) in found, one and other)
            self.assertEqual(("::1", 4000) in found, one and other)

    def test_an_observed_loopback_address_only_to_the_same_machine(self) -> None:
        for host in ("127.0.0.1", "::1"):
            at = them(host, (host, 4000), ("192.168.1.5", 4000), local=True)
            self.assertIn((host, 5000), announced_to(at, seen("192.168.1.7", True)))
            self.assertEqual(announced_to(at, seen("192.168.1.6")), (("192.168.1.5", 4000),))
            self.assertEqual(announced_to(at, seen(PUBLIC)), ())

    def test_an_observed_link_local_address_to_nobody(self) -> None:
        self.assertEqual(announced_to(them("fe80::1%eth0"), seen("fe80::2%eth0")), ())

    def test_no_port_below_1024(self) -> None:
        to = seen(ELSEWHERE)
        self.assertEqual(announced_to(them(PUBLIC, (PUBLIC, 1023), port=22, local=True), to), ())
        found = announced_to(them(PUBLIC, (PUBLIC, 1024), port=22), to)
        self.assertEqual(found, ((PUBLIC, 1024), (PUBLIC, SEEN_PORT)))
        at = them(PUBLIC, port=22)
        at.client.port = 1023
        self.assertEqual(announced_to(at, to), ())

    def test_two_unobserved_ipv6_addresses_and_the_observed_besides(self) -> None:
        claimed = [(host, 4000) for host in (V6, V6, V6_OTHER, V6_THIRD)]
        found = announced_to(them(PUBLIC, *claimed), seen(ELSEWHERE))
        self.assertEqual(found, ((V6, 4000), (V6_OTHER, 4000), (PUBLIC, 5000), (PUBLIC, SEEN_PORT)))
        found = announced_to(them(V6, *claimed), seen(ELSEWHERE))
        self.assertEqual([host for host, _ in found], [V6, V6_OTHER, V6_THIRD, V6, V6])

    def test_one_host_many_ports_is_no_scan_of_ours(self) -> None:
        claimed = [(PUBLIC, port) for port in range(4000, 4008)]
        found = announced_to(them(PUBLIC, *claimed), seen(ELSEWHERE))
        self.assertEqual(found, (*claimed[:6], (PUBLIC, 5000), (PUBLIC, SEEN_PORT)))

    @example(["127.0.0.1"], "127.0.0.1", "192.168.1.6")
    @given(
        st.lists(st.ip_addresses().map(str), max_size=8),
        st.ip_addresses().map(str),
        st.ip_addresses().map(str),
    )
    def test_is_never_what_could_be_used_against_others(
        self, claimed: list[str], at: str, to: str
    ) -> None:
        hosts = st_ports(claimed)
        found = announced_to(them(at, *hosts), seen(to))
        self.assertLessEqual(len(found), 8)
        self.assertEqual(len(set(found)), len(found))
        others = 0
        for host, port in found:
            address = ip_address(host)
            self.assertGreaterEqual(port, 1024)
            self.assertFalse(
                address.is_loopback
                or address.is_link_local
                or address.is_multicast
                or address.is_unspecified
            )
            if host != at:
                self.assertTrue(address.version == 6 or address.is_private)
                others += address.is_global
        self.assertLessEqual(others, 2)


def st_ports(hosts: list[str]) -> list[tuple[str, int]]:
    """`hosts` with ports, some of them below 1024."""
    return [(host, 1000 + 10 * number) for number, host in enumerate(hosts)]
