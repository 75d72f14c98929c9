"""Choose which of a server's addresses to show to people on other machines."""

from __future__ import annotations

from collections.abc import Iterable

from chatproto.net.addresses import AddressScope, reach_of


def is_loopback_only(host: str) -> bool:
    """Return True if only programs on this machine can connect to the address `host`."""
    return reach_of(host) is AddressScope.LOOPBACK


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
        if not is_loopback_only(host):
            return host, port
        first = first or (host, port)
    return first
