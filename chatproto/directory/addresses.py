"""Which addresses one person is told of another: none that could be used to scan or to flood."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from chatproto.directory.lease import as_address
from chatproto.directory.visitors import Presence, Visitor
from chatproto.wire.bcp2_common import ADDRESSES, Address

LEAST_PORT = 1024
NOBODYS = frozenset((0, *range(240, 256)))
"""What an IPv4 address that nobody has begins with."""
OTHER_IPV6 = 2
"""How many global IPv6 addresses may be told that the server has not seen."""


def told(them: Presence, to: Visitor) -> tuple[Address, ...]:
    """The addresses of `them` that `to` may be told (protocol section 3, Addresses), at most eight.

    Of those claimed: public ones with the observed host, two other global IPv6 ones, private ones if
    both are seen at one address or both in private space, loopback ones if both are on the server's
    machine. The observed host last, with the claimed port and with the observed one, which is where a
    router lets others in if the client has dialled the server from the port that it listens on (no
    router is between the server and its own machine): always, but where it is loopback and `to` is
    on another machine, or link-local.
    """
    found: dict[Address, None] = {}
    others: set[Address] = set()
    for host, port in them.addresses:
        address = as_address(host)
        if address is None or port < LEAST_PORT or not _is_harmless(address, them.visitor, to):
            continue
        told_as = str(address), port
        if str(address) == them.visitor.host or _is_shared(address, them.visitor, to):
            found[told_as] = None
        elif address.version == 6 and address.is_global and len(others | {told_as}) <= OTHER_IPV6:
            others.add(told_as)
            found[told_as] = None
    observed = as_address(them.visitor.host)
    last: dict[Address, None] = {}
    if observed is not None and _is_harmless(observed, them.visitor, to):
        ports = (them.port,) if them.visitor.local else (them.port, them.visitor.port)
        last = {(them.visitor.host, port): None for port in ports if port >= LEAST_PORT}
    for address_seen in last:
        found.pop(address_seen, None)
    return (*_first(found, ADDRESSES - len(last)), *last)


def _first(addresses: Iterable[Address], most: int) -> tuple[Address, ...]:
    return tuple(addresses)[:most]


def _is_harmless(address: IPv4Address | IPv6Address, one: Visitor, other: Visitor) -> bool:
    """Whether it is one machine's, and the same machine's for both."""
    if address.is_loopback:
        return one.local and other.local
    odd = address.is_multicast or address.is_unspecified or address.is_link_local
    # 0.0.0.0/8 and 240.0.0.0/4, the broadcast address in it, count as private.
    return not odd and not (address.version == 4 and int(address) >> 24 in NOBODYS)


def _is_shared(address: IPv4Address | IPv6Address, one: Visitor, other: Visitor) -> bool:
    """Whether `address` is of a network that the two may have in common."""
    if not address.is_private:
        return False
    return (
        address.is_loopback or one.host == other.host or (_in_private(one) and _in_private(other))
    )


def _in_private(visitor: Visitor) -> bool:
    address = as_address(visitor.host)
    return address is not None and address.is_private
