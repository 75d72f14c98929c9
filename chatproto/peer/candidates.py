"""Where somebody may be called: which addresses are told, which are tried, in which order, and how
the way that was found is called."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address

from chatproto.wire.bcp2_common import ADDRESSES, Address, plain_ip
from chatproto.wire.errors import RemoteError

LEAST_PORT = 1024


class Route(Enum):
    """How two people reach each other; the value is what a screen says."""

    DIRECT = "direct"
    SAME_NETWORK = "same network"
    PUNCHED = "punched"
    RELAYED = "relayed"


def worth_telling(
    hosts: Iterable[str], port: int, local: bool, announced: tuple[Address, ...] = ()
) -> tuple[Address, ...]:
    """What to tell the server: `announced` instead of all else, or `port` on `hosts`, our interfaces'.

    `local`: the server is on this machine, and so may others be. At most eight.
    """
    if announced:
        return announced[:ADDRESSES]
    found = dict.fromkeys((host, port) for host in hosts if _is_useful(host, local))
    return tuple(found)[:ADDRESSES]


def worth_dialling(
    told: Iterable[Address], local: bool, own: Collection[Address] = ()
) -> tuple[Address, ...]:
    """What of `told` is dialled, in that order: at most eight, whatever a server says.

    Never multicast, link-local or unspecified addresses or those of nobody, nor a port below 1024;
    loopback only if the server is on this machine (`local`); never where we listen (`own`).
    """
    found = dict.fromkeys(
        (host, port)
        for host, port in told
        if port >= LEAST_PORT and _is_useful(host, local) and (host, port) not in own
    )
    return in_turn(tuple(found)[:ADDRESSES])


def in_turn(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """The families by turns, IPv6 first (RFC 8305, section 4); each in the order in which it came."""
    given = tuple(addresses)
    six = [one for one in given if ":" in one[0]]
    four = [one for one in given if ":" not in one[0]]
    both = [one for pair in zip(six, four, strict=False) for one in pair]
    shorter = len(both) // 2
    return (*both, *six[shorter:], *four[shorter:])


def route_of(host: str, relayed: bool, both_dialled: bool) -> Route:
    """How a connection with `host` is called. `both_dialled`: both have sent a PUNCH on it."""
    if relayed:
        return Route.RELAYED
    address = _literal(host.partition("%")[0])  # link-local ones are seen with their interface
    if address is not None and address.is_private:
        return Route.SAME_NETWORK
    return Route.PUNCHED if both_dialled else Route.DIRECT


def _is_useful(host: str, local: bool) -> bool:
    address = _literal(host)
    if address is None or address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if address.version == 4 and (int(address) >> 24 == 0 or int(address) >> 24 >= 240):
        return False
    return local or not address.is_loopback


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(plain_ip(host))
    except RemoteError:
        return None
