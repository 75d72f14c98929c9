"""One port to listen on and to dial from."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.shared_port import SharedPort, shared_port


class Reactor:
    """Keeps the sockets that it is handed."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def adoptStreamPort(self, fileno: int, family: int, factory: Any) -> str:
        self.sockets.append(socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(fileno)))
        return "the port"


class TextTests(SynchronousTestCase):
    def test_only_plain_tcp_endpoints_can_be_shared(self) -> None:
        for text in ("tcp:0", "tcp:5556", "tcp:5556:interface=127.0.0.1", r"tcp:1:interface=\:\:1"):
            self.assertIsInstance(shared_port(None, text), SharedPort, text)
        for text in ("unix:/tmp/x", "tcp:5556:backlog=3", "ssl:443", "tcp6:1", "tcp:port=1"):
            self.assertIsNone(shared_port(None, text), text)


class ListenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.addCleanup(self.close)

    def close(self) -> None:
        for one in self.reactor.sockets:
            one.close()

    def listen(self, port: int = 0, interface: str = "127.0.0.1") -> SharedPort:
        shared = SharedPort(self.reactor, port, interface)
        self.assertEqual(self.successResultOf(shared.listen(Factory())), "the port")
        return shared

    def test_listening_port_can_be_dialled_from(self) -> None:
        for interface in ("127.0.0.1", ""):
            binding = self.listen(interface=interface).own_port
            with socket.create_server(("127.0.0.1", 0)) as far, socket.socket() as near:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, binding._reuseAddress)
                near.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, binding._reusePort)
                near.bind((binding._address, binding._port))
                near.connect(far.getsockname())
            self.assertEqual(binding._port, self.reactor.sockets[-1].getsockname()[1])

    def test_second_program_cannot_take_the_port_silently(self) -> None:
        for interface in ("127.0.0.1", ""):
            number = self.listen(interface=interface).own_port._port
            for other in ("127.0.0.1", ""):
                failure = self.failureResultOf(
                    SharedPort(self.reactor, number, other).listen(Factory()), CannotListenError
                )
                self.assertEqual(failure.value.port, number)
                self.assertEqual(failure.value.socketError.errno, errno.EADDRINUSE)

    def test_no_such_port_and_no_such_address(self) -> None:
        for port, interface in ((70000, "127.0.0.1"), (0, "192.0.2.1")):
            tried = SharedPort(self.reactor, port, interface).listen(Factory())
            self.failureResultOf(tried, CannotListenError)

    def test_without_ipv6_only_ipv4_is_used(self) -> None:
        real = socket.socket

        def four_only(family: int = socket.AF_INET, *rest: Any, **how: Any) -> socket.socket:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "no such family")
            return real(family, *rest, **how)

        self.patch(socket, "socket", four_only)
        self.listen(interface="")
        self.assertEqual(self.reactor.sockets[-1].family, socket.AF_INET)
