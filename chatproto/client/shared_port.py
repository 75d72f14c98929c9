"""Our listening port, opened so that we can also dial from it."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.tcp import makeBinding
from zope.interface import implementer

TCP = re.compile(r"tcp:(\d{1,5})(?::interface=((?:[^:\\]|\\.)*))?")
BACKLOG = 50
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def shared_port(reactor: Any, text: str) -> SharedPort | None:
    """Return a port for the endpoint string `text`; None if it asks for more than a TCP port."""
    found = TCP.fullmatch(text)
    if found is None:
        return None
    return SharedPort(reactor, int(found[1]), (found[2] or "").replace("\\", ""))


@implementer(IStreamServerEndpoint)
class SharedPort:
    """Listen on `port` (0: any); `own_port` is then the binding for dialling from it.

    Without an interface it listens on IPv6, which accepts IPv4 too, if the system has IPv6.
    """

    def __init__(self, reactor: Any, port: int, interface: str = "") -> None:
        self.own_port: Any = None
        self._reactor = reactor
        self._port = port
        self._interface = interface

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen. Fails with CannotListenError."""
        try:
            with self._listener() as listener:
                number = listener.getsockname()[1]
                listener.setblocking(False)
                port: IListeningPort = self._reactor.adoptStreamPort(
                    listener.fileno(), listener.family, protocolFactory
                )
        except CannotListenError:
            return fail()
        self.own_port = makeBinding("", number, reuseAddress=True, reusePort=True)
        return succeed(port)

    def _listener(self) -> socket.socket:
        """Return the listening socket. Raises CannotListenError."""
        if self._interface:
            return _listening(self._interface, self._port)
        try:
            return _listening("::", self._port)
        except CannotListenError as error:
            if getattr(error.socketError, "errno", None) not in NO_IPV6:
                raise CannotListenError("0.0.0.0", self._port, error.socketError) from None
        return _listening("0.0.0.0", self._port)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens, and share it only then, so that no other listener can have the port.

    With SO_REUSEPORT set earlier, two programs of one user would share the port without an error.
    Raises CannotListenError.
    """
    listener: socket.socket | None = None
    try:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except (OSError, OverflowError) as error:  # the latter: invalid port number
        if listener is not None:
            listener.close()
        raise CannotListenError(host, port, error) from None
    return listener
