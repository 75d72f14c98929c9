"""Classify IP addresses by the network they belong to, in every spelling of an IPv4 address.

One table for client and server. Python's `is_private` and `is_global` are not used: they differ between
patch releases and count IPv4 addresses inside IPv6 ones as public.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


class AddressScope(Enum):
    """Kinds of networks that an address belongs to."""

    PUBLIC = "public"
    """One host on the Internet."""
    PRIVATE = "private"
    """A host of a local network, or of a documentation range, which is used in test networks only."""
    CARRIER = "carrier"
    """A host behind a provider's NAT (RFC 6598)."""
    LOOPBACK = "loopback"
    """This machine itself."""
    LINK_LOCAL = "link-local"
    """A host on the network of one interface."""
    NOWHERE = "nowhere"
    """Not a single host that may be called: multicast, reserved, deprecated, a host name, or a tunnel
    or translation address whose IPv4 address is not public.
    """


CALLABLE = frozenset((AddressScope.PUBLIC, AddressScope.PRIVATE, AddressScope.CARRIER))
"""Kinds of addresses that one client may be given to call another machine."""

GET_ADDRESS = 0x8915
"""SIOCGIFADDR of Linux's <linux/sockios.h>: an interface's IPv4 address."""
LEAST_PORT = 1024
"""Lowest port of a peer: ports below it belong to the system's services."""

_IPV4 = (
    ("0.0.0.0/8", AddressScope.NOWHERE),
    ("10.0.0.0/8", AddressScope.PRIVATE),
    ("100.64.0.0/10", AddressScope.CARRIER),
    ("127.0.0.0/8", AddressScope.LOOPBACK),
    ("169.254.0.0/16", AddressScope.LINK_LOCAL),
    ("172.16.0.0/12", AddressScope.PRIVATE),
    ("192.0.0.0/24", AddressScope.NOWHERE),
    ("192.0.2.0/24", AddressScope.PRIVATE),
    ("192.88.99.0/24", AddressScope.NOWHERE),
    ("192.168.0.0/16", AddressScope.PRIVATE),
    ("198.18.0.0/15", AddressScope.PRIVATE),
    ("198.51.100.0/24", AddressScope.PRIVATE),
    ("203.0.113.0/24", AddressScope.PRIVATE),
    ("224.0.0.0/3", AddressScope.NOWHERE),
)
"""Every other IPv4 address is public."""

_IPV6 = (
    ("::1/128", AddressScope.LOOPBACK),
    ("fc00::/7", AddressScope.PRIVATE),
    ("fe80::/10", AddressScope.LINK_LOCAL),
    ("2001:db8::/32", AddressScope.PRIVATE),
    ("3fff::/20", AddressScope.PRIVATE),
    ("2001::/23", AddressScope.NOWHERE),
    ("2000::/3", AddressScope.PUBLIC),
)
"""The first network that contains an address counts; every other IPv6 address is `NOWHERE`."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_EMBEDDED = (
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
"""Networks whose addresses contain an IPv4 address, and by how many bits it is shifted: NAT64 (RFC
6052), 6to4 (RFC 3056). IPv4-compatible addresses, Teredo, fec0::/10 and ::ffff:0:0:0/96 are `NOWHERE`.
"""
_ISATAP = (0x00005EFE, 0x02005EFE)
"""Upper half of an interface identifier that contains an IPv4 address (RFC 5214)."""

_TABLE4 = tuple((IPv4Network(net), reach) for net, reach in _IPV4)
_TABLE6 = tuple((IPv6Network(net), reach) for net, reach in _IPV6)


@lru_cache(maxsize=4096)
def reach_of(host: str) -> AddressScope:
    """Return the scope of the address literal `host`; a name, or an address with a scope id, is
    `NOWHERE`, except that fe80::/10 with a scope id is link-local.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return AddressScope.NOWHERE
    return address_reach(address)


def address_reach(address: IPv4Address | IPv6Address) -> AddressScope:
    """Return the scope of `address`."""
    if isinstance(address, IPv4Address):
        return next((reach for net, reach in _TABLE4 if address in net), AddressScope.PUBLIC)
    if address.scope_id is not None:
        return AddressScope.LINK_LOCAL if address.is_link_local else AddressScope.NOWHERE
    if address in _MAPPED:
        return address_reach(IPv4Address(int(address) & 0xFFFFFFFF))
    inside = embedded_ipv4(address)
    if inside is not None and address_reach(inside) is not AddressScope.PUBLIC:
        return AddressScope.NOWHERE
    if any(address in net for net, _ in _EMBEDDED):
        return AddressScope.PUBLIC
    return next((reach for net, reach in _TABLE6 if address in net), AddressScope.NOWHERE)


def embedded_ipv4(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which a router or host would forward packets for `address`, an IPv6
    address of NAT64, 6to4 or ISATAP; None if there is none.
    """
    if isinstance(address, IPv4Address):
        return None
    number = int(address)
    for net, shift in _EMBEDDED:
        if address in net:
            return IPv4Address(number >> shift & 0xFFFFFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(number & 0xFFFFFFFF)
    return None


def as_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return `text` as an address, an IPv4-mapped IPv6 address as IPv4; None for a host name."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=4096)
def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect from `host`, the address of a socket."""
    address = as_address(host)
    return address is not None and address.is_loopback


@lru_cache(maxsize=4096)
def network(host: str) -> str:
    """Return the unit that limits count as one address: an IPv4 address, or the /64 of an IPv6 address."""
    address = as_address(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address or host)


def may_be_called(host: str, local: bool) -> bool:
    """Return True if a client may be given `host` to call; `local`: loopback addresses are allowed,
    too.
    """
    reach = reach_of(host)
    return reach in CALLABLE or (local and reach is AddressScope.LOOPBACK)


def is_address(host: str) -> bool:
    """Return True for an address, False for a host name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def interface_address(name: str) -> str:
    """Return the IPv4 address of the interface `name`, on Linux; an empty string if it has none."""
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = ioctl(asked.fileno(), GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def source_address(host: str, port: int) -> str | None:
    """Return our source address towards `host`, an address, without sending anything; None:
    unreachable.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
            found: str = probe.getsockname()[0]
    except OSError:
        return None
    return found


def address_to_share(
    listening: Iterable[tuple[str, int]], ipv4: str | None, ipv6: str | None
) -> tuple[str, int] | None:
    """Return the first address that other machines can connect to, else the first of all.

    Args: listening: host and port of each socket; port 0 is no TCP port. ipv4, ipv6: this machine's
    own addresses, which replace `0.0.0.0` and `::`; None without such a network.
    Returns: host and port, a loopback address if there is no other; None without a TCP port.
    """
    first = None
    for host, port in listening:
        if not port:
            continue
        if host == "0.0.0.0":
            host = ipv4 or "127.0.0.1"
        elif host == "::":
            host = ipv6 or ipv4 or "::1"  # a socket for IPv6 may take IPv4 too
        if not is_loopback(host):
            return host, port
        first = first or (host, port)
    return first
