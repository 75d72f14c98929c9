"""Choose the addresses that a client is told of a peer: none that could scan or flood a third."""

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
"""Global IPv6 addresses that may be told although the server has not seen them."""


def announced_to(them: Registration, to: ClientConnection) -> tuple[Address, ...]:
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
    """Return True if `address` is one machine's, and the same machine's for both."""
    reach = address_reach(address)
    return reach in CALLABLE or (reach is AddressScope.LOOPBACK and one.local and other.local)


def _is_shared(
    address: IPv4Address | IPv6Address, one: ClientConnection, other: ClientConnection
) -> bool:
    """Return True if `address` is of a network that the two may have in common."""
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
