"""Where somebody may be called: which addresses are told, which are tried, in which order, and how
the way that was found is called."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum

from chatproto.net.addresses import AddressScope, may_be_called, reach_of
from chatproto.wire.bcp2_common import ADDRESSES, Address

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
    found = dict.fromkeys((host, port) for host in hosts if may_be_called(host, local))
    return tuple(found)[:ADDRESSES]


def worth_dialling(
    told: Iterable[Address], local: bool, own: Collection[Address] = ()
) -> tuple[Address, ...]:
    """What of `told` is dialled, in that order: at most eight, whatever a server says.

    Never an address that leads to no single host (`net.addresses`), nor a port below 1024; loopback
    only if the server is on this machine (`local`); never where we listen (`own`).
    """
    found = dict.fromkeys(
        (host, port)
        for host, port in told
        if port >= LEAST_PORT and may_be_called(host, local) and (host, port) not in own
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
    reach = reach_of(host.partition("%")[0])  # link-local ones are seen with their interface
    if reach in (AddressScope.PRIVATE, AddressScope.LOOPBACK, AddressScope.LINK_LOCAL):
        return Route.SAME_NETWORK
    return Route.PUNCHED if both_dialled else Route.DIRECT
