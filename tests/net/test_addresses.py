"""Test the scope of addresses: every special range, and all spellings of IPv4 addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.addresses import announced_to
from chatproto.directory.classic_registration import shown_ip
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.net.addresses import CALLABLE, AddressScope, embedded_ipv4, may_be_called, reach_of
from chatproto.session.candidates import worth_dialling
from tests.contracts.names import ONE, OTHER

PUBLIC, ELSEWHERE = "198.41.0.4", "199.9.14.201"
NOT_PUBLIC_4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    "255.255.255.255/32",
]
"""IANA's registry of special IPv4 addresses, multicast, and what is reserved."""
NOWHERE_6 = [
    *("::/128", "::2/127", "::ffff:0:0:0/96", "100::/64", "64:ff9b:1::/48", "2001::/32"),
    *("2001:2::/48", "2001:10::/28", "2001:20::/28", "fec0::/10", "ff00::/8", "4000::/3"),
    *("8000::/2", "5f00::/16"),
]


def wrapped(address: IPv4Address) -> list[str]:
    """`address` in each spelling in which an IPv6 address holds an IPv4 one."""
    number = int(address)
    spellings = [
        0x0064FF9B << 96 | number,
        0x2002 << 112 | number << 80 | 1,
        0xFFFF << 32 | number,  # IPv4-mapped
        number,  # IPv4-compatible
        0xFFFF0000 << 32 | number,  # translated, RFC 2765
        0x20010000 << 96 | number ^ 0xFFFFFFFF,  # Teredo
        0x26064700 << 96 | 0x5EFE << 32 | number,  # ISATAP
        0x26064700 << 96 | 0x02005EFE << 32 | number,
    ]
    return [str(IPv6Address(spelling)) for spelling in spellings]


def in_network(name: str) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    net = IPv6Network(name) if ":" in name else IPv4Network(name)
    first, last = int(net[0]), int(net[-1])
    make = IPv6Address if ":" in name else IPv4Address
    return st.integers(first, last).map(make)


SPECIAL_4 = st.sampled_from(NOT_PUBLIC_4).flatmap(in_network)
SPECIAL = st.one_of(
    SPECIAL_4.map(str),
    SPECIAL_4.flatmap(lambda one: st.sampled_from(wrapped(IPv4Address(str(one))))),
    st.sampled_from(NOWHERE_6).flatmap(in_network).map(str),
    st.sampled_from(["fe80::1%eth0", "fe80::1", "::1", "a.name", "", "localhost", "1.2.3", "::g"]),
)


class ReachTests(SynchronousTestCase):
    def test_each_kind_of_address_has_its_scope(self) -> None:
        for host, reach in {
            PUBLIC: AddressScope.PUBLIC,
            "2606:4700::1": AddressScope.PUBLIC,
            "::ffff:8.8.8.8": AddressScope.PUBLIC,
            "64:ff9b::808:808": AddressScope.PUBLIC,
            "2002:808:808::1": AddressScope.PUBLIC,
            "192.168.1.5": AddressScope.PRIVATE,
            "::ffff:10.0.0.1": AddressScope.PRIVATE,
            "fd00::7": AddressScope.PRIVATE,
            "100.64.1.1": AddressScope.CARRIER,
            "127.1.2.3": AddressScope.LOOPBACK,
            "::ffff:127.0.0.1": AddressScope.LOOPBACK,
            "::1": AddressScope.LOOPBACK,
            "169.254.1.1": AddressScope.LINK_LOCAL,
            "fe80::1%eth0": AddressScope.LINK_LOCAL,
            "fd00::1%eth0": AddressScope.NOWHERE,
            "64:ff9b::7f00:1": AddressScope.NOWHERE,
            "64:ff9b::c0a8:105": AddressScope.NOWHERE,
            "64:ff9b:1::808:808": AddressScope.NOWHERE,
            "2002:7f00:1::1": AddressScope.NOWHERE,
            "2002:c0a8:105::1": AddressScope.NOWHERE,
            "::127.0.0.1": AddressScope.NOWHERE,
            "::8.8.8.8": AddressScope.NOWHERE,
            "fec0::1": AddressScope.NOWHERE,
            "2001::1": AddressScope.NOWHERE,
            "2606:4700::5efe:127.0.0.1": AddressScope.NOWHERE,
            "2606:4700::5efe:8.8.8.8": AddressScope.PUBLIC,
            "255.255.255.255": AddressScope.NOWHERE,
            "240.0.0.1": AddressScope.NOWHERE,
            "0.1.2.3": AddressScope.NOWHERE,
            "224.0.0.1": AddressScope.NOWHERE,
            "a.name": AddressScope.NOWHERE,
        }.items():
            self.assertIs(reach_of(host), reach, host)

    @given(SPECIAL_4)
    def test_no_special_ipv4_address_is_public_in_any_spelling(
        self, address: IPv4Address | IPv6Address
    ) -> None:
        assert isinstance(address, IPv4Address)
        self.assertIsNot(reach_of(str(address)), AddressScope.PUBLIC)
        nat64, six_to_four, mapped, *others = wrapped(address)
        self.assertIs(reach_of(mapped), reach_of(str(address)))
        for host in (nat64, six_to_four, *others):
            allowed = (AddressScope.LOOPBACK,) if host == "::1" else (AddressScope.NOWHERE,)
            self.assertIn(reach_of(host), allowed, host)

    @given(st.ip_addresses())
    def test_public_addresses_are_global_for_python(
        self, address: IPv4Address | IPv6Address
    ) -> None:
        holds_ipv4 = embedded_ipv4(address) or getattr(address, "ipv4_mapped", None)
        if reach_of(str(address)) is AddressScope.PUBLIC and holds_ipv4 is None:
            self.assertTrue(address.is_global)
            self.assertFalse(address.is_multicast or address.is_reserved)

    @given(st.text(max_size=40))
    def test_any_text_leads_somewhere_or_nowhere(self, text: str) -> None:
        self.assertIn(reach_of(text), AddressScope)


class PeopleAreNotSentThere(SynchronousTestCase):
    """The three places that pass addresses on."""

    @given(SPECIAL)
    def test_remote_client_is_shown_at_the_observed_address(self, claimed: str) -> None:
        shown = shown_ip(claimed, PUBLIC, False)
        self.assertTrue(
            shown == PUBLIC or reach_of(shown) in CALLABLE - {AddressScope.PUBLIC}, shown
        )

    def test_the_claims_that_were_handed_out(self) -> None:
        for claimed in (
            "fe80::1%eth0",
            "169.254.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "0.1.2.3",
            "224.0.0.1",
            "fec0::1",
            "64:ff9b::7f00:1",
            "::10.0.0.1",
        ):
            self.assertEqual(shown_ip(claimed, PUBLIC, False), PUBLIC)

    @given(SPECIAL, st.booleans())
    def test_a_client_dials_no_special_address_but_a_private_one(
        self, host: str, local: bool
    ) -> None:
        for found, _ in worth_dialling([(host, 4000)], local):
            self.assertTrue(may_be_called(found, local))
            plain = ip_address(found)
            mapped = getattr(plain, "ipv4_mapped", None) or plain
            self.assertFalse(mapped.is_multicast or mapped.is_unspecified or mapped.is_link_local)
            self.assertTrue(local or not mapped.is_loopback)

    @given(SPECIAL)
    def test_local_address_of_a_remote_client_is_not_given(self, claimed: str) -> None:
        them = Registration(
            "b",
            OTHER,
            5000,
            ((claimed, 4000),),
            60,
            True,
            (),
            ClientConnection(OTHER, PUBLIC, 40000, False),
        )
        for host, _ in announced_to(them, ClientConnection(ONE, ELSEWHERE, 40001, False)):
            self.assertEqual(host, PUBLIC)

    def test_foreign_ipv4_address_in_nat64_form_is_not_given(self) -> None:
        for claimed in ("64:ff9b::808:808", "2002:808:808::1", "2606:4700::5efe:8.8.8.8"):
            at = ClientConnection(OTHER, PUBLIC, 40000, False)
            them = Registration("b", OTHER, 5000, ((claimed, 4000),), 60, True, (), at)
            self.assertNotIn(
                (claimed, 4000), announced_to(them, ClientConnection(ONE, ELSEWHERE, 40001, False))
            )
