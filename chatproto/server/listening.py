"""Parse `--port` and open listening sockets."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatproto.net.fast_tcp import accept_directly
from chatproto.wire.fields import host_port

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel may allow fewer."""
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


class ListenSpec:
    """Address to listen on, from `--port`. Raises ValueError if it cannot be parsed.

    Digits are a port on all IPv4 addresses and, if available, all IPv6 addresses (0: a free port, the same
    for both). Anything else is a Twisted server endpoint string.
    """

    def __init__(self, reactor: Any, text: str) -> None:
        self._reactor = reactor
        self._text = text
        self._port = None
        if text.isascii() and text.isdigit():
            self._port = int(text)
            if self._port > 65535:
                raise ValueError(f"{text} is no port: choose 0 to 65535")
            return
        try:
            self._endpoint = serverFromString(reactor, text)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ValueError(f"not a port or an endpoint: {text!r} ({error})") from None

    def listen(self, factory: Factory) -> Deferred[list[IListeningPort]]:
        """Open the sockets. Raises CannotListenError or OSError if that fails at once."""
        if self._port is not None:
            ports = self._everywhere(self._port, factory)
            for port in ports:
                tune(port)
            return succeed(ports)

        def open_(port: IListeningPort) -> list[IListeningPort]:
            check_family(port, self._text)
            tune(port)
            return [port]

        listening: Deferred[list[IListeningPort]]
        listening = self._endpoint.listen(factory).addCallback(open_)
        failure = listening.result if listening.called else None
        if isinstance(failure, Failure):
            listening.addErrback(lambda _: None)
            failure.raiseException()
        return listening

    def _everywhere(self, number: int, factory: Factory) -> list[IListeningPort]:
        """Listen on IPv4, and on a second socket on IPv6: a dual-stack one makes IPv4 more expensive."""
        ports = [self._reactor.listenTCP(number, factory, backlog=BACKLOG)]
        number = ports[0].getHost().port
        try:
            bound = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        except OSError:
            return ports
        with bound:
            try:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.bind(("::", number))
                bound.listen(BACKLOG)
            except OSError as error:
                if error.errno in NO_IPV6:
                    return ports
                ports[0].stopListening()
                raise CannotListenError("::", number, error) from error
            bound.setblocking(False)
            ports.append(self._reactor.adoptStreamPort(bound.fileno(), socket.AF_INET6, factory))
        return ports


def check_family(port: Any, text: str) -> None:
    """Close `port` and raise ValueError if `text` names IPv4 and its socket is of another family.

    Such a socket comes from systemd. Python would read client addresses in the size of IPv4 and return
    wrong ones. An IPv4 socket that is named IPv6 does no harm.
    """
    listening = getattr(port, "socket", None)
    if listening is None or not hasattr(socket, "SO_DOMAIN"):
        return
    family = listening.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)
    if listening.family == socket.AF_INET != family:
        port.stopListening()
        name = "INET6" if family == socket.AF_INET6 else "UNIX"
        raise ValueError(f"the socket of {text!r} is another one: write domain={name}")


def place_of(port: IListeningPort) -> tuple[str, int]:
    """Return host and number of a port; `unix:PATH` and 0 for a Unix socket, a name for standard streams."""
    address: Any = port.getHost()
    if isinstance(address, UNIXAddress):
        return f"unix:{os.fsdecode(address.name or b'')}", 0
    return getattr(address, "host", "standard input and output"), getattr(address, "port", 0)


def place_shown(place: tuple[str, int]) -> str:
    """Format a place for the user: `host:port` or `unix:PATH`."""
    return host_port(*place) if place[1] else place[0]


def tune(port: Any) -> None:
    """Set options on the listening socket that accepted sockets inherit (on Linux).

    Keepalive detects dead connections within about 5 minutes; TCP_NODELAY sends answers without delay.
    """
    listening = getattr(port, "socket", None)
    if listening is None or listening.family not in (socket.AF_INET, socket.AF_INET6):
        return
    accept_directly(port)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    listening.listen(BACKLOG)
