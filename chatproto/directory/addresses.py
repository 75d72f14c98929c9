"""Choose the addresses of a client that its peer is given: none that could be used to scan or flood
others.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.net.addresses import (
    CALLABLE,
    LEAST_PORT,
    AddressScope,
    address_reach,
    as_address,
    embedded_ipv4,
)
from chatproto.wire.bcp2_common import ADDRESSES, Address

OTHER_IPV6 = 2
"""Number of global IPv6 addresses that may be given although the server has not seen them."""


def announced_to(them: Registration, to: ClientConnection) -> tuple[Address, ...]:
    """Return the addresses of `them` that `to` may be given (protocol section 3, Addresses), at most
    eight.

    Of the claimed addresses: public ones with the observed host; two other global IPv6 ones; private
    ones if both clients are seen at one address or both in private space; loopback ones if both are on
    the server's machine. The observed host follows last, with the claimed port and with the observed
    one. The latter is where a router admits others if the client has dialled the server from its
    listening port, so it is left out on the server's own machine. An observed host that is loopback is
    left out if `to` is on another machine, and a link-local one always.
    """
    found: dict[Address, None] = {}
    others: set[Address] = set()
    for host, port in them.addresses:
        address = as_address(host)
        if address is None or port < LEAST_PORT or not _is_harmless(address, them.client, to):
            continue
        told_as = str(address), port
        if str(address) == them.client.host or _is_shared(address, them.client, to):
            found[told_as] = None
        elif _is_other_ipv6(address) and len(others | {told_as}) <= OTHER_IPV6:
            others.add(told_as)
            found[told_as] = None
    observed = as_address(them.client.host)
    last: dict[Address, None] = {}
    if observed is not None and _is_harmless(observed, them.client, to):
        ports = (them.port,) if them.client.local else (them.port, them.client.port)
        last = {(them.client.host, port): None for port in ports if port >= LEAST_PORT}
    for address_seen in last:
        found.pop(address_seen, None)
    return (*_first(found, ADDRESSES - len(last)), *last)


def _first(addresses: Iterable[Address], most: int) -> tuple[Address, ...]:
    return tuple(addresses)[:most]


def _is_harmless(
    address: IPv4Address | IPv6Address, one: ClientConnection, other: ClientConnection
) -> bool:
    """Return True if `address` belongs to one machine, which is the same for both clients."""
    reach = address_reach(address)
    return reach in CALLABLE or (reach is AddressScope.LOOPBACK and one.local and other.local)


def _is_shared(
    address: IPv4Address | IPv6Address, one: ClientConnection, other: ClientConnection
) -> bool:
    """Return True if `address` belongs to a network that the two clients may share."""
    reach = address_reach(address)
    if reach is AddressScope.LOOPBACK:
        return True
    return reach is AddressScope.PRIVATE and (
        one.host == other.host or (_in_private(one) and _in_private(other))
    )


def _is_other_ipv6(address: IPv4Address | IPv6Address) -> bool:
    """Return True for a public IPv6 address that does not embed an IPv4 address."""
    is_public = address.version == 6 and address_reach(address) is AddressScope.PUBLIC
    return is_public and embedded_ipv4(address) is None


def _in_private(client: ClientConnection) -> bool:
    address = as_address(client.host)
    near = (AddressScope.PRIVATE, AddressScope.LOOPBACK, AddressScope.LINK_LOCAL)
    return address is not None and address_reach(address) in near
