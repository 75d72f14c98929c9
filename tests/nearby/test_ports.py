"""An ear on every interface, with sockets of the test's own; and once with real ones."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.nearby.ports import (
    GROUP4,
    GROUP6,
    PORT,
    Ear,
    Interface,
    Ports,
    interfaces,
    open_socket,
)

LO = Interface("lo", 1, "127.0.0.1")
WIFI = Interface("wlan0", 2, "10.0.0.5")
WIFI6 = Interface("wlan0", 2, "")


class Sockets:
    """A reactor that adopts sockets; what is sent is in `sent`, `down` has what leads nowhere."""

    def __init__(self) -> None:
        self.ears: list[Ear] = []
        self.sent: list[tuple[str, bytes, tuple[str, int]]] = []
        self.down: set[Interface] = set()
        self.closed: list[Interface] = []
        self.most = 0

    def adoptDatagramPort(self, fd: int, family: int, ear: Ear, maxPacketSize: int = 8192) -> Any:
        self.ears.append(ear)
        self.most = maxPacketSize
        transport: Any = Transport(self, ear)
        ear.makeConnection(transport)
        return transport


class Transport:
    """One ear's."""

    def __init__(self, sockets: Sockets, ear: Ear) -> None:
        self.sockets = sockets
        self.ear = ear

    def write(self, data: bytes, to: tuple[str, int]) -> None:
        if self.ear.interface in self.sockets.down:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        self.sockets.sent.append((self.ear.interface.name, data, to))

    def stopListening(self) -> None:
        self.sockets.closed.append(self.ear.interface)


class PortsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.there = [LO, WIFI, WIFI6]
        self.heard: list[tuple[bytes, str]] = []
        self.sockets = Sockets()
        self.refused: dict[Interface, OSError] = {}
        self.ports = Ports(
            self.sockets,
            lambda data, host: self.heard.append((data, host)),
            256,
            lambda: self.there,
            self.open,
        )
        self.ports.look()

    def open(self, interface: Interface) -> socket.socket:
        if interface in self.refused:
            raise self.refused[interface]
        family = socket.AF_INET6 if interface.six else socket.AF_INET
        return socket.socket(family, socket.SOCK_DGRAM)

    def said(self, listening: str | None) -> list[tuple[str, str]]:
        self.sockets.sent.clear()
        count = self.ports.say(b"hi", listening)
        self.assertEqual(count, len(self.sockets.sent))
        return [(name, host) for name, _, (host, _) in self.sockets.sent]

    def test_every_interface_has_a_port_for_each_family(self) -> None:
        self.assertEqual([ear.interface for ear in self.sockets.ears], self.there)
        self.assertEqual(len(self.ports), len(self.there))
        self.assertEqual(self.sockets.most, 257)

    def test_we_speak_where_we_can_be_called(self) -> None:
        lo, wifi, wifi6 = ("lo", GROUP4), ("wlan0", GROUP4), ("wlan0", GROUP6)
        for listening, expected in {
            None: [lo, wifi, wifi6],
            "::": [lo, wifi, wifi6],
            "0.0.0.0": [lo, wifi],
            "": [lo, wifi],
            "127.0.0.1": [lo],
            "10.0.0.5": [wifi],
            "fd00::1": [wifi6],
            "10.9.9.9": [],
        }.items():
            self.assertEqual(self.said(listening), expected, listening)

    def test_an_interface_that_leads_nowhere_is_passed_over(self) -> None:
        self.sockets.down = {WIFI}
        self.assertEqual(self.said("0.0.0.0"), [("lo", GROUP4)])

    def test_interfaces_come_and_go(self) -> None:
        self.there = [LO]
        self.ports.look()
        self.assertEqual(self.sockets.closed, [WIFI, WIFI6])
        self.there = [LO, WIFI]
        self.ports.look()
        self.assertEqual(self.said("0.0.0.0"), [("lo", GROUP4), ("wlan0", GROUP4)])
        self.ports.close()
        self.assertEqual((len(self.ports), self.said(None)), (0, []))

    def test_failed_port_has_a_reason_and_is_retried(self) -> None:
        self.ports.close()
        self.refused = {one: OSError(errno.EPERM, "Operation not permitted") for one in self.there}
        self.ports.look()
        self.assertEqual(len(self.ports), 0)
        self.assertEqual(self.ports.trouble, "wlan0: Operation not permitted")
        self.refused = {}
        self.ports.look()
        self.assertEqual(len(self.ports), 3)

    def test_datagram_is_passed_on_with_its_source(self) -> None:
        ears = {ear.interface: ear for ear in self.sockets.ears}
        ears[WIFI].datagramReceived(b"a", ("10.0.0.7", PORT))
        ears[WIFI6].datagramReceived(b"b", ("fe80::7", PORT))
        ears[WIFI6].datagramReceived(b"c", ("fd00::7", PORT))
        self.assertEqual(
            self.heard, [(b"a", "10.0.0.7"), (b"b", "fe80::7%wlan0"), (b"c", "fd00::7")]
        )


class RealTests(SynchronousTestCase):
    def test_two_programs_receive_datagrams_of_a_third(self) -> None:
        loopback = [one for one in interfaces() if one.address == "127.0.0.1"]
        try:
            made: list[Any] = [open_socket(loopback[0]) for _ in range(3)]
        except (IndexError, OSError) as reason:
            self.skipTest(f"no multicast on loopback here: {reason}")
        for one in made:
            self.addCleanup(one.close)
            one.settimeout(5)
        made[0].sendto(b"hello", (GROUP4, PORT))
        for one in made:
            self.assertEqual(one.recvfrom(100), (b"hello", ("127.0.0.1", PORT)))


class InterfacesTests(SynchronousTestCase):
    def test_other_systems_find_the_addresses_that_linux_finds(self) -> None:
        here = interfaces()
        self.assertIn("127.0.0.1", [one.address for one in here])
        self.patch(sys, "platform", "darwin")
        self.assertEqual(interfaces(), here)
