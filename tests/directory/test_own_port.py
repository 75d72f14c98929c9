"""Connections from the port on which we listen, and from another where that cannot be."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.own_port import connect

OWN: Any = ("", 5556)


class ConnectTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def connect(self, own_port: Any, host: str = "127.0.0.1") -> Deferred[Any]:
        return connect(self.reactor, host, 5555, 7.0, Protocol(), own_port)

    def tried(self) -> list[tuple[Any, ...]]:
        """Host, port, wait and binding of each attempt."""
        return [(*one[:2], *one[3:]) for one in self.reactor.tcpClients]

    def comes_to_nothing(self, error: Exception) -> None:
        """The latest attempt comes to nothing."""
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(error))
        self.reactor.advance(1.0)  # when the next address would be dialled, if there were one

    def test_uses_any_port_without_an_own_one(self) -> None:
        self.connect(None)
        self.assertEqual(self.tried(), [("127.0.0.1", 5555, 7.0, None)])

    def test_from_ours(self) -> None:
        self.connect(OWN)
        self.assertEqual(self.tried(), [("127.0.0.1", 5555, 7.0, OWN)])

    def test_uses_any_port_if_ours_is_in_use(self) -> None:
        self.connect(OWN)
        self.comes_to_nothing(ConnectBindError())
        self.assertEqual([one[3] for one in self.tried()], [OWN, None])

    def test_missing_address_is_not_tried_twice(self) -> None:
        made = self.connect(OWN)
        self.comes_to_nothing(ConnectionRefusedError())
        self.failureResultOf(made, ConnectionRefusedError)
        self.assertEqual(len(self.tried()), 1)

    def test_an_address_keeps_its_scope(self) -> None:
        self.connect(OWN, "fe80::1%lo")
        self.assertEqual(self.tried()[0], ("fe80::1%lo", 5555, 7.0, OWN))
