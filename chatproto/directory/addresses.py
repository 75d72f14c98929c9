"""Which addresses one person is told of another: none that could be used to scan or to flood."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from chatproto.directory.lease import as_address
from chatproto.directory.visitors import Presence, Visitor
from chatproto.wire.bcp2_common import ADDRESSES, Address

LEAST_PORT = 1024
UNOBSERVED_IPV6 = 2
"""How many global IPv6 addresses may be told that the server has not seen."""


def told(them: Presence, to: Visitor) -> tuple[Address, ...]:
    """The addresses of `them` that `to` may be told (protocol section 3, Addresses), at most eight.

    Of those claimed: public ones with the observed host, two other global IPv6 ones, private ones if
    both are seen at one address or both in private space, loopback ones if both are on the server's
    machine. The observed host with the claimed port always, last.
    """
    found: dict[Address, None] = {}
    others = 0
    for host, port in them.addresses:
        address = as_address(host)
        if address is None or port < LEAST_PORT:
            continue
        seen = str(address) == them.visitor.host
        other = not seen and address.version == 6 and _is_public(address)
        if other and others >= UNOBSERVED_IPV6:
            continue
        if seen or other or _is_shared(address, them.visitor, to):
            others += other
            found[str(address), port] = None
    if them.port >= LEAST_PORT:
        observed = (them.visitor.host, them.port)
        found.pop(observed, None)
        return (*_first(found, ADDRESSES - 1), observed)
    return _first(found, ADDRESSES)


def _first(addresses: Iterable[Address], most: int) -> tuple[Address, ...]:
    return tuple(addresses)[:most]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


def _is_shared(address: IPv4Address | IPv6Address, one: Visitor, other: Visitor) -> bool:
    """Whether `address` is of a network that the two may have in common."""
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if address.is_loopback:
        return one.local and other.local
    if not address.is_private:
        return False
    return one.host == other.host or (_in_private(one) and _in_private(other))


def _in_private(visitor: Visitor) -> bool:
    address = as_address(visitor.host)
    return address is not None and address.is_private
