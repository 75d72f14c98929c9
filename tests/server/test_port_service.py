"""Tests of a port beside the server's own."""

from __future__ import annotations

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.port_service import PortService


class PortServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.said: list[str] = []
        self.closed: list[bool] = []
        self.service = PortService(
            self.reactor,
            "tcp:5556:interface=127.0.0.1",
            Factory(),
            "lobby",
            self.said.append,
            lambda: self.closed.append(True),
        )
        self.service.startService()

    def test_listening_address_is_reported(self) -> None:
        [(number, *_, interface)] = self.reactor.tcpServers
        self.assertEqual((number, interface), (5556, "127.0.0.1"))
        [said] = self.said
        self.assertTrue(said.startswith("* lobby listening on "))

    def test_paused_port_keeps_its_connections(self) -> None:
        self.successResultOf(self.service.stop_listening())
        self.assertEqual(self.closed, [])

    def test_its_end_is_that_of_its_connections(self) -> None:
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.closed, [True])
