"""Addresses of this program: those of its interfaces, and the one that the server sees."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

from chatproto.net.addresses import (
    LEAST_PORT,
    interface_address,
    is_address,
    is_loopback,
    source_address,
)
from chatproto.session.candidates import worth_dialling, worth_telling
from chatproto.wire.bcp2_common import Address
from chatproto.wire.dialects import Me


@dataclass(slots=True)
class OwnAddresses:
    """Our own addresses, and the server's.

    `announced`: addresses given to peers instead of `listening`, where our port is open. `server`: as the
    user named it; None without one. `observed`: our address as the server sees it, once registered.
    `near`: the connection to the server stays on this machine; a server cannot claim that. `own_port`:
    binding for connections from our listening port; None if that is impossible. `me`: our id and the
    address that openers announce.
    """

    announced: tuple[Address, ...] = ()
    listening: Address = ("127.0.0.1", 0)
    server: Address | None = None
    observed: Address | None = None
    near: bool = False
    own_port: Any = None
    me: Me = field(default_factory=lambda: Me("", "127.0.0.1", 0))

    @property
    def is_local(self) -> bool:
        """True if the server is on this machine, so that other clients may be on it too."""
        host = self.server[0] if self.server is not None else ""
        loopback = is_address(host) and ip_address(host).is_loopback
        return self.near or loopback or host == "localhost"

    def found(self, server: Address, observed: Address | None, near: bool = False) -> None:
        """Store the `server` that has registered us, and our address as it sees it."""
        self.server, self.observed, self.near = server, observed, near

    def filtered(self, relay: Address | None) -> Address | None:
        """Return the address of the relay to join: `relay`, as the server gave it, if dialling it is allowed;
        else the server itself, as we reach it (None without a server)."""
        if relay is None or relay == self.server:
            return self.server
        host, port = relay
        if is_address(host):
            return relay if worth_dialling((relay,), self.is_local) else self.server
        local_name = host.rstrip(".").lower().endswith("localhost")
        return relay if port >= LEAST_PORT and (self.is_local or not local_name) else self.server

    def addresses(self) -> tuple[Address, ...]:
        """Return our present addresses for peers, at most eight; they are not confirmed by any peer.

        A wildcard host is replaced by the machine's addresses.
        """
        host, port = self.listening
        hosts = own_hosts(self.server) if host in ("", "0.0.0.0", "::") else (host,)
        return worth_telling(hosts, port, self.is_local, self.announced)


OUTSIDE = (("192.0.2.1", 9), ("2001:db8::1", 9))
"""Reserved addresses: the route to them is the default route (RFC 5737, RFC 3849)."""
IPV6_INTERFACES = Path("/proc/net/if_inet6")
NOT_USABLE = 0x08 | 0x20 | 0x40
"""Flags of an unusable IPv6 address there: duplicate, deprecated, or tentative."""


def own_hosts(towards: Address | None = None) -> tuple[str, ...]:
    """Return this machine's addresses: first the source address towards `towards`, then the default ones.

    Python cannot list all of them. On systems other than Linux only the first ones are found.
    """
    ways = (*([] if towards is None else [towards]), *OUTSIDE)
    first = [source_address(*one) for one in ways if is_address(one[0])]
    found = dict.fromkeys([*(one for one in first if one is not None), *_ipv4(), *_ipv6()])
    return tuple(found)


def local_host() -> str:
    """Return an address of this machine in its network; loopback if it is in none."""
    return next((one for one in own_hosts() if not is_loopback(one)), "127.0.0.1")


def _ipv4() -> list[str]:
    """Return one IPv4 address for each interface."""
    try:
        names = [name for _, name in socket.if_nameindex()]
        return list(filter(None, map(interface_address, names)))
    except (ImportError, OSError):
        return []


def _ipv6() -> Iterator[str]:
    try:
        lines = IPV6_INTERFACES.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        digits, _, _, _, flags, *_ = line.split()
        if not int(flags, 16) & NOT_USABLE:
            yield str(IPv6Address(int(digits, 16)))
