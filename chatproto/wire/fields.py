"""Read and write the values in messages: ids, ports, addresses."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from chatproto.wire.errors import RemoteError
from chatproto.wire.values import value_class

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Form of an id (protocol section 3)."""
BLANK = re.compile(r"[\s\x00-\x1f]")
"""Characters that are invalid in host names."""


@value_class
class Contact:
    """A peer and its address; `key` is `sha256:...`, or None for a peer without a key."""

    client_id: str
    host: str
    port: int
    key: str | None = None


def read_client_id(text: str) -> str:
    """Return `text` if it is an id. Raises RemoteError 400."""
    if ID.fullmatch(text) is None:
        raise RemoteError(400, f"no client id: {text!r}")
    return text


def fold(name: str) -> str:
    """Fold an id or a room name so that similar names become equal (PROTOCOL.md, rooms).

    Lower case, 0 = o, 1 = i = l, rn = m. Folding a folded name changes nothing.
    """
    return name.lower().replace("0", "o").replace("1", "l").replace("i", "l").replace("rn", "m")


def read_number(text: str) -> float:
    """Return the number in `text`, typed by a user, such as `30` or `0.5`.

    Raises ValueError, also for forms that only Python accepts (`1_000`, digits of other scripts).
    """
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def read_port(text: str) -> int:
    """Read a port from 1 to 65535, decimal digits only. Raises RemoteError 400."""
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
        return int(text)
    raise RemoteError(400, f"no port: {text!r}")


def read_ip(text: str) -> IPv4Address | IPv6Address:
    """Read an address literal, IPv6 with or without brackets. Raises RemoteError 400."""
    try:
        return ip_address(text.strip("[]") if text.startswith("[") else text)
    except ValueError:
        raise RemoteError(400, f"no address: {text!r}") from None


def plain_host(host: str) -> str:
    """Return `host`, as a socket reports it, without the `::ffff:` of an IPv4 client on an IPv6 socket."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def host_port(host: str, port: int) -> str:
    """Return `host:port`, with one pair of brackets around an IPv6 host."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_host_port(text: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`; the host may be a name. Raises RemoteError 400."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise RemoteError(400, f"an IPv6 address wants brackets: {text!r}")
    if not colon or not host or BLANK.search(host):
        raise RemoteError(400, f"no host:port: {text!r}")
    return host, read_port(port)


def is_local(host: str) -> bool:
    """Return True if `host` is loopback, unspecified or not an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return True
    return address.is_loopback or address.is_unspecified
