"""Resolve host names: a name is valid if the system's resolver accepts it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Thread
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from chatproto.net.addresses import source_address
from chatproto.net.fast_tcp import AnyHostnameEndpoint

NO_HOST = (OSError, UnicodeError, ValueError)
"""Exceptions that Python raises for an invalid host name: `gaierror`, bad labels, a NUL."""
FAMILIES = {
    frozenset([IPv4Address]): socket.AF_INET,
    frozenset([IPv6Address]): socket.AF_INET6,
}
MOST_LOOKUPS = 10
"""Largest number of simultaneous lookups; further ones are queued."""


@cache
def _lookup_threads() -> ThreadPool:
    """Return threads that do not delay the end of the program.

    The reactor joins its own threads, and a lookup takes half a minute if no name server answers.
    """
    pool = ThreadPool(0, MOST_LOOKUPS, "lookups")
    pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]  # a class there
    pool.start()
    return pool


def in_lookup_thread(
    reactor: Any, look: Callable[..., Any], *arguments: Any, threads: Any = None
) -> Deferred[Any]:
    """Call `look(*arguments)` in a thread that does not delay the end of the program.

    `threads`: the pool to use; None: that of the process.
    """
    return deferToThreadPool(reactor, threads or _lookup_threads(), look, *arguments)


def look_up(
    host: str, port: int, family: int = 0, kind: int = socket.SOCK_STREAM, flags: int = 0
) -> list[Any]:
    """Return the addresses that `getaddrinfo` finds, in its order; empty for an invalid name.

    Blocks unless `flags` has AI_NUMERICHOST.
    """
    try:
        # Python would encode a string, and refuses names that the system may accept.
        name = host.encode("ascii") if host.isascii() else host
        return socket.getaddrinfo(name, port, family, kind, flags=flags)
    except NO_HOST:
        return []


def host_towards(host: str, port: int) -> str:
    """Return our source address towards `host`, which may be a name; loopback if there is none."""
    found = look_up(host, port, kind=socket.SOCK_DGRAM)
    if not found:
        return "127.0.0.1"
    *_, address = found[0]
    return source_address(str(address[0]), port) or "127.0.0.1"


@implementer(IHostnameResolver)
class SystemResolver:
    """Resolve addresses at once and names in threads; an invalid name has no address.

    Twisted's own resolver waits for ever for a name with an empty or a long label (`a..b`). `threads`:
    the pool to use; None: that of the process.
    """

    def __init__(self, reactor: Any, threads: Any = None) -> None:
        self._reactor = reactor
        self._threads = threads

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        family = FAMILIES.get(frozenset(addressTypes or ()), 0)
        kind = socket.SOCK_DGRAM if transportSemantics == "UDP" else socket.SOCK_STREAM

        def found(result: Any) -> None:
            for family, _, _, _, address in () if isinstance(result, Failure) else result:
                made = IPv6Address if family == socket.AF_INET6 else IPv4Address
                how: Any = transportSemantics
                resolutionReceiver.addressResolved(made(how, *address))
            resolutionReceiver.resolutionComplete()

        what = hostName, portNumber, family, kind
        address = look_up(*what, socket.AI_NUMERICHOST)
        if address:
            found(address)
        else:
            in_lookup_thread(self._reactor, look_up, *what, threads=self._threads).addBoth(found)
        return resolution


@implementer(IHostResolution)
class Resolution:
    """Lookup of a name in progress."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing: a call of the system's resolver cannot be cancelled; its answer is ignored."""


def endpoint_to(
    reactor: Any, host: str, port: int, wait: float, binding: Any = None
) -> HostnameEndpoint | TCP6ClientEndpoint:
    """Return an endpoint that dials `host:port` from `binding`, `wait` seconds for each address.

    An endpoint for names does not accept an address with a scope id such as `fe80::1%eth0`.
    """
    address, scope, _ = host.partition("%")
    if scope and _is_ipv6(address):
        return TCP6ClientEndpoint(reactor, host, port, wait, binding)
    return AnyHostnameEndpoint(reactor, host, port, timeout=wait, bindAddress=binding)


def _is_ipv6(address: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except (OSError, UnicodeError, ValueError):
        return False
    return True


def use_system_resolver(reactor: Any) -> None:
    """Make all connections by name of `reactor` use `SystemResolver`; call it once, at start."""
    reactor.installNameResolver(SystemResolver(reactor))
