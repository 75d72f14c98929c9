"""Test our own addresses, and which of them are announced."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client import own_addresses
from chatproto.client.own_addresses import OwnAddresses
from chatproto.net.addresses import is_address

SERVER = ("198.41.0.4", 5555)


class PlaceTests(SynchronousTestCase):
    def test_one_address_where_the_port_is_open_on_one(self) -> None:
        self.assertEqual(
            OwnAddresses(listening=("10.0.0.1", 4000)).addresses(), (("10.0.0.1", 4000),)
        )

    def test_wildcard_port_has_the_machine_s_addresses(self) -> None:
        own = ("10.0.0.7", "2606:4700::7", "127.0.0.1", "fe80::1")
        self.patch(own_addresses, "own_hosts", lambda towards: own)
        for host in ("", "0.0.0.0", "::"):
            here = OwnAddresses(listening=(host, 4000), server=SERVER)
            self.assertEqual(here.addresses(), (("10.0.0.7", 4000), ("2606:4700::7", 4000)))

    def test_loopback_too_where_the_server_is_on_this_machine(self) -> None:
        self.patch(own_addresses, "own_hosts", lambda towards: ("127.0.0.1",))
        for server, near in (
            (("127.0.0.1", 5555), False),
            (("::1", 5555), False),
            (("localhost", 5555), False),
            (("mine.example", 5555), True),
        ):
            here = OwnAddresses(listening=("::", 4000))
            self.assertEqual((here.is_local, here.addresses()), (False, ()))
            here.found(server, None, near)
            self.assertEqual((here.is_local, here.addresses()), (True, (("127.0.0.1", 4000),)))

    def test_server_cannot_claim_to_be_local(self) -> None:
        here = OwnAddresses(listening=("::", 4000))
        here.found(SERVER, ("127.0.0.1", 4000))
        self.assertFalse(here.is_local)

    def test_a_relay_is_filtered_like_every_address(self) -> None:
        for relay in (
            ("127.0.0.1", 1000),
            ("127.0.0.1", 4000),
            ("64:ff9b::7f00:1", 4000),
            ("169.254.169.254", 4000),
            ("8.8.8.8", 22),
            ("localhost", 4000),
            ("a.localhost.", 4000),
            ("relay.example", 25),
            None,
        ):
            here = OwnAddresses(server=SERVER)
            self.assertEqual(here.filtered(relay), SERVER, relay)
        for relay in (("8.8.8.8", 4000), ("10.0.0.1", 4000), ("relay.example", 4000), SERVER):
            self.assertEqual(OwnAddresses(server=SERVER).filtered(relay), relay)
        local = ("127.0.0.1", 5555)
        here = OwnAddresses(server=local)
        self.assertEqual(here.filtered(("127.0.0.1", 5556)), ("127.0.0.1", 5556))
        self.assertEqual(here.filtered(("127.0.0.1", 1000)), local)

    def test_announced_addresses_replace_the_others(self) -> None:
        told = ((SERVER[0], 443), ("2606:4700::7", 443))
        self.assertEqual(OwnAddresses(told, ("10.0.0.1", 4000)).addresses(), told)


class InterfaceTests(SynchronousTestCase):
    """On the machine of the test itself, whatever it has."""

    def test_every_interface_address_is_listed_with_loopback(self) -> None:
        found = own_addresses.own_hosts()
        self.assertEqual([one for one in found if not is_address(one)], [])
        self.assertEqual(len(found), len(set(found)))
        self.assertIn("127.0.0.1", found)

    def test_source_address_towards_the_server_comes_first(self) -> None:
        self.assertEqual(own_addresses.own_hosts(("127.0.0.1", 5555))[0], "127.0.0.1")

    def test_a_server_that_is_a_name_is_not_looked_up(self) -> None:
        self.assertEqual(own_addresses.own_hosts(("chat.example", 5555)), own_addresses.own_hosts())

    def test_route_is_used_without_an_interface_list(self) -> None:
        self.patch(own_addresses, "_ipv4", lambda: iter(()))
        self.patch(own_addresses, "IPV6_INTERFACES", Path("/nowhere/at/all"))
        self.assertEqual(own_addresses.own_hosts(("127.0.0.1", 9))[0], "127.0.0.1")

    def test_addresses_of_ipv6_are_read_and_those_of_no_use_left_out(self) -> None:
        listed = Path(self.mktemp())
        listed.write_text(
            "26064700000000000000000000000007 02 40 00 80 eth0\n"
            "26064700000000000000000000000008 02 40 00 20 eth0\n"
        )
        self.patch(own_addresses, "IPV6_INTERFACES", listed)
        self.assertEqual(list(own_addresses._ipv6()), ["2606:4700::7"])
