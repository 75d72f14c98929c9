from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.addresses import address_to_share, is_loopback

EVERYWHERE = [("0.0.0.0", 5555), ("::", 5555)]


class AddressToShareTests(SynchronousTestCase):
    def test_ipv4_comes_first(self) -> None:
        self.assertEqual(
            address_to_share(EVERYWHERE, "10.0.0.5", "2001:db8::5"), ("10.0.0.5", 5555)
        )

    def test_ipv6_is_taken_where_there_is_no_ipv4(self) -> None:
        self.assertEqual(address_to_share(EVERYWHERE, None, "2001:db8::5"), ("2001:db8::5", 5555))

    def test_without_a_network_it_is_loopback(self) -> None:
        self.assertEqual(address_to_share(EVERYWHERE, None, None), ("127.0.0.1", 5555))
        self.assertEqual(address_to_share([("::", 5555)], None, None), ("::1", 5555))

    def test_a_socket_for_ipv6_alone_is_shared_with_what_there_is(self) -> None:
        six = [("::", 5555)]
        self.assertEqual(address_to_share(six, "10.0.0.5", "2001:db8::5"), ("2001:db8::5", 5555))
        self.assertEqual(address_to_share(six, "10.0.0.5", None), ("10.0.0.5", 5555))

    def test_a_port_that_others_reach_comes_before_loopback(self) -> None:
        ports = [("127.0.0.1", 5555), ("192.168.1.5", 5556)]
        self.assertEqual(address_to_share(ports, "10.0.0.5", None), ("192.168.1.5", 5556))
        self.assertEqual(address_to_share(ports[:1], "10.0.0.5", None), ("127.0.0.1", 5555))

    def test_a_unix_socket_is_none(self) -> None:
        self.assertIsNone(address_to_share([("unix:chat", 0)], "10.0.0.5", None))

    def test_loopback_is_for_this_machine_only(self) -> None:
        for host, only in (("127.0.0.9", True), ("::1", True), ("10.0.0.5", False)):
            self.assertEqual(is_loopback(host), only, host)
