"""Our own addresses: those of this machine's interfaces, the ones on the way outside first."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from chatproto.session.candidates import worth_telling
from chatproto.wire.bcp2_common import Address

OUTSIDE = (("192.0.2.1", 9), ("2001:db8::1", 9))
"""Addresses that nobody has: the way to them is that to anywhere (RFC 5737, RFC 3849)."""
GET_ADDRESS = 0x8915
"""SIOCGIFADDR of Linux's <linux/sockios.h>: an interface's IPv4 address."""
IPV6_INTERFACES = Path("/proc/net/if_inet6")
NOT_USABLE = 0x08 | 0x20 | 0x40
"""Flags of an IPv6 address there: somebody else has it, it is deprecated, it is not tried yet."""


def host_towards(host: str, port: int) -> str | None:
    """Our address on the way to `host`, an address, found without sending anything; None: no way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
            found: str = probe.getsockname()[0]
    except OSError:
        return None
    return found


def own_hosts(towards: Address | None = None) -> tuple[str, ...]:
    """The addresses of this machine; first that on the way to `towards`, then those to anywhere.

    Python has no call that lists them all. Where the system is not Linux only the first are found.
    """
    ways = (*([] if towards is None else [towards]), *OUTSIDE)
    first = [host_towards(*one) for one in ways if is_address(one[0])]
    found = dict.fromkeys([*(one for one in first if one is not None), *_ipv4(), *_ipv6()])
    return tuple(found)


def own_addresses(
    listening: Address,
    server: Address | None,
    local: bool,
    announced: tuple[Address, ...] = (),
) -> tuple[Address, ...]:
    """List our addresses for peers, at most eight; nobody else has confirmed them.

    `listening`: host and port of our own port; a host that stands for all is replaced by the machine's.
    `local`: the server is on this machine.
    """
    host, port = listening
    hosts = own_hosts(server) if host in ("", "0.0.0.0", "::") else (host,)
    return worth_telling(hosts, port, local, announced)


def is_here(server: Address | None) -> bool:
    """Return True if the server is on this machine, so that other clients may be, too."""
    if server is None:
        return False
    return server[0] == "localhost" or (is_address(server[0]) and ip_address(server[0]).is_loopback)


def is_address(host: str) -> bool:
    """Return True for an address, False for a host name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _ipv4() -> Iterator[str]:
    """Yield one IPv4 address for each interface."""
    try:
        from fcntl import ioctl

        names = [name for _, name in socket.if_nameindex()]
    except (ImportError, OSError):
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for name in names:
            try:
                answer = ioctl(asked.fileno(), GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has none
            yield socket.inet_ntoa(answer[20:24])


def _ipv6() -> Iterator[str]:
    try:
        lines = IPV6_INTERFACES.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        digits, _, _, _, flags, *_ = line.split()
        if not int(flags, 16) & NOT_USABLE:
            yield str(IPv6Address(int(digits, 16)))
