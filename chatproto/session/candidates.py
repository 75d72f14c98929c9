"""Candidates: choose the addresses to announce and to dial, their order, and the name of the path."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum

from chatproto.net.addresses import LEAST_PORT, AddressScope, may_be_called, reach_of
from chatproto.wire.bcp2_common import ADDRESSES, Address


class Route(Enum):
    """Path of a connection; the value is used in `session` events."""

    DIRECT = "direct"
    SAME_NETWORK = "lan"
    PUNCHED = "punched"
    RELAYED = "relay"


def worth_telling(
    hosts: Iterable[str], port: int, local: bool, announced: tuple[Address, ...] = ()
) -> tuple[Address, ...]:
    """Return the addresses to announce to the server, at most eight.

    `announced` replaces all others if given; otherwise `port` on each of `hosts`, our interfaces'
    addresses. `local`: the server runs on this machine, so loopback counts.
    """
    if announced:
        return announced[:ADDRESSES]
    found = dict.fromkeys((host, port) for host in hosts if may_be_called(host, local))
    return tuple(found)[:ADDRESSES]


def worth_dialling(
    told: Iterable[Address], local: bool, own: Collection[Address] = ()
) -> tuple[Address, ...]:
    """Return the addresses to dial, in order, at most eight, whatever the server says.

    Omits addresses that lead to no single host (`net.addresses`), ports below 1024, and `own`, at which
    we listen. Loopback counts only if the server is on this machine (`local`).
    """
    found = dict.fromkeys(
        (host, port)
        for host, port in told
        if port >= LEAST_PORT and may_be_called(host, local) and (host, port) not in own
    )
    return in_turn(tuple(found)[:ADDRESSES])


def in_turn(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Alternate address families, IPv6 first (RFC 8305, section 4); each keeps its order."""
    given = tuple(addresses)
    six = [one for one in given if ":" in one[0]]
    four = [one for one in given if ":" not in one[0]]
    both = [one for pair in zip(six, four, strict=False) for one in pair]
    shorter = len(both) // 2
    return (*both, *six[shorter:], *four[shorter:])


def route_of(host: str, relayed: bool, both_dialled: bool) -> Route:
    """Return the path of a connection with `host`; `both_dialled`: both ends sent a PUNCH on it."""
    if relayed:
        return Route.RELAYED
    reach = reach_of(host.partition("%")[0])  # link-local addresses have their interface appended
    if reach in (AddressScope.PRIVATE, AddressScope.LOOPBACK, AddressScope.LINK_LOCAL):
        return Route.SAME_NETWORK
    return Route.PUNCHED if both_dialled else Route.DIRECT
