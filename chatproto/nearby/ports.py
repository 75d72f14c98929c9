"""Open the multicast sockets for beacons: one per interface and address family.

Each is bound to the group's address, so that it only receives what was sent to the group on that
interface. Datagrams do not leave the network: their TTL is 1, or their scope link-local.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from chatproto.net.addresses import interface_address
from chatproto.wire.values import value_class

log = Logger()

PORT = 5555
GROUP4 = "239.255.112.50"
"""IPv4 group, administratively scoped, for local use in one site (RFC 2365, section 6.1)."""
GROUP6 = "ff12::6263:7032"
"""IPv6 group, link-local and not permanently assigned (RFC 4291, section 2.7)."""
MOST_INTERFACES = 32
MULTICAST_ALL = 49
"""IP_MULTICAST_ALL of Linux's <linux/in.h>; if off, a socket receives only the groups it has joined."""

Received = Callable[[bytes, str], None]
"""Callback that receives a datagram and the host it came from."""


@value_class
class Interface:
    """One family of one interface; `address` is its IPv4 address, empty for IPv6."""

    name: str
    index: int
    address: str

    @property
    def six(self) -> bool:
        """Return True for IPv6."""
        return not self.address

    def leads_to(self, host: str) -> bool:
        """Return True if peers reached on this interface can connect to a listener on `host`."""
        if host == "::":
            return True
        if host in ("", "0.0.0.0"):
            return not self.six
        return ":" in host if self.six else host == self.address


def interfaces() -> tuple[Interface, ...]:
    """List this machine's interfaces, IPv4 first, at most `MOST_INTERFACES` of each family."""
    try:
        known = socket.if_nameindex()[:MOST_INTERFACES]
        address_of = interface_address if sys.platform == "linux" else _listed_ipv4()
    except OSError:
        return ()
    four = [(name, index, address_of(name)) for index, name in known]
    six = [(name, index, "") for index, name in known] if socket.has_ipv6 else []
    return tuple(Interface(*one) for one in (*(one for one in four if one[2]), *six))


def _listed_ipv4() -> Callable[[str], str]:
    """Return a lookup of an interface's IPv4 address for macOS and BSD. Raises OSError."""
    from ifaddr import get_adapters  # installed only there, and for the tests

    found: dict[str, str] = {}
    for adapter in get_adapters():
        for one in adapter.ips:
            if one.is_IPv4:
                found.setdefault(adapter.name, str(one.ip))
    return lambda name: found.get(name, "")


def open_socket(interface: Interface) -> socket.socket:
    """Open a socket in the multicast group on that interface only. Raises OSError."""
    family = socket.AF_INET6 if interface.six else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if interface.six:
            made.bind((GROUP6, PORT, 0, interface.index))
            group = socket.inet_pton(family, GROUP6) + struct.pack("@I", interface.index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
            return made
        made.bind((GROUP4, PORT))
        own = socket.inet_aton(interface.address)
        # ip_mreqn: its address is also the source address of sent datagrams.
        group = struct.pack("=4s4si", socket.inet_aton(GROUP4), own, interface.index)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        if sys.platform == "linux":
            made.setsockopt(socket.IPPROTO_IP, MULTICAST_ALL, 0)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    except OSError:
        made.close()
        raise
    return made


class Ear(DatagramProtocol):
    """Receiver and sender of datagrams on one interface."""

    def __init__(self, interface: Interface, heard: Received) -> None:
        self.interface = interface
        self._heard = heard

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        host = str(addr[0])
        if ip_address(host).is_link_local and ":" in host:
            host = f"{host}%{self.interface.name}"
        self._heard(datagram, host)

    def say(self, data: bytes) -> bool:
        """Send `data` to the group; return True if it was sent."""
        transport: Any = self.transport
        if transport is None:
            return False
        try:
            transport.write(data, (GROUP6 if self.interface.six else GROUP4, PORT))
        except OSError:
            return False  # the interface is down or has no route
        return True


class Ports:
    """One `Ear` per interface; `reactor` has IReactorSocket. Longer datagrams are cut to `most` + 1 bytes."""

    def __init__(
        self,
        reactor: Any,
        heard: Received,
        most: int,
        find: Callable[[], Iterable[Interface]] = interfaces,
        open: Callable[[Interface], socket.socket] = open_socket,
    ) -> None:
        self.trouble = ""  # last failure to open an interface
        self._reactor = reactor
        self._heard = heard
        self._most = most
        self._find = find
        self._open = open
        self._ears: dict[Interface, tuple[Ear, Any]] = {}
        self._reached: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._ears)

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the interfaces that the last datagram went out on, without loopback."""
        loopback = {one.name for one in self._ears if one.address.startswith("127.")}
        return tuple(name for name in self._reached if name not in loopback)

    def look(self) -> None:
        """Start listening on new interfaces, and stop on interfaces that are gone."""
        there = tuple(self._find())
        for gone in [one for one in self._ears if one not in there]:
            self._close(gone)
        for interface in there:
            if interface not in self._ears:
                self._begin(interface)

    def say(self, data: bytes, listening: str | None = None) -> int:
        """Send `data` on each interface; return how often it was sent.

        `listening`: if given, only where peers can connect to that listening address.
        """
        reached = [
            ear.interface.name
            for ear, _ in tuple(self._ears.values())
            if (listening is None or ear.interface.leads_to(listening)) and ear.say(data)
        ]
        self._reached = tuple(dict.fromkeys(reached))
        return len(reached)

    def close(self) -> None:
        """Stop listening."""
        for interface in tuple(self._ears):
            self._close(interface)

    def _begin(self, interface: Interface) -> None:
        try:
            made = self._open(interface)
        except OSError as error:
            self.trouble = f"{interface.name}: {error.strerror}"
            return
        ear = Ear(interface, self._heard)
        with made:  # the port duplicates the descriptor
            port = self._reactor.adoptDatagramPort(
                made.fileno(), made.family, ear, maxPacketSize=self._most + 1
            )
        self._ears[interface] = ear, port

    def _close(self, interface: Interface) -> None:
        _, port = self._ears.pop(interface)
        port.stopListening()
