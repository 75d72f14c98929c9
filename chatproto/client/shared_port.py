"""Our own port, listening in a way that lets us dial from it as well."""

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
    """A port as the endpoint string `text` wants it; None if it wants more than a port of TCP."""
    found = TCP.fullmatch(text)
    if found is None:
        return None
    return SharedPort(reactor, int(found[1]), (found[2] or "").replace("\\", ""))


@implementer(IStreamServerEndpoint)
class SharedPort:
    """Listens on `port` (0: any), which `own_port` then is the binding to dial from.

    Without an interface it is IPv6's, which takes IPv4 as well, where there is IPv6.
    """

    def __init__(self, reactor: Any, port: int, interface: str = "") -> None:
        self.own_port: Any = None
        self._reactor = reactor
        self._port = port
        self._interface = interface

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Fails with CannotListenError."""
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
        """Raises CannotListenError."""
        if self._interface:
            return _listening(self._interface, self._port)
        try:
            return _listening("::", self._port)
        except CannotListenError as error:
            if getattr(error.socketError, "errno", None) not in NO_IPV6:
                raise CannotListenError("0.0.0.0", self._port, error.socketError) from None
        return _listening("0.0.0.0", self._port)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens, and only then is shared: no other listener may have the port.

    With SO_REUSEPORT from the beginning two programs of one person would share it without a word.
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
    except (OSError, OverflowError) as error:  # the latter: there is no such port
        if listener is not None:
            listener.close()
        raise CannotListenError(host, port, error) from None
    return listener
