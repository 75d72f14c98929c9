"""Tests of the socket in a home: whose it is, and whether somebody serves it."""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.private_socket import PrivateSocket


class PrivateSocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "s"
        self.reactor = MemoryReactor()
        self.told: list[str] = []
        self.socket = PrivateSocket(self.reactor, self.path, Factory(), self.told.append)

    def bound(self) -> socket.socket:
        """Return a socket at the path."""
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        made.bind(str(self.path))
        return made

    def test_stale_socket_is_replaced(self) -> None:
        self.bound()
        self.socket.start()
        self.assertEqual((self.told, len(self.reactor.unixServers)), ([], 1))

    def test_served_socket_stays_even_with_a_full_queue(self) -> None:
        self.bound().listen(0)
        for _ in range(3):
            self.socket.start()
            visitor = socket.socket(socket.AF_UNIX)
            self.addCleanup(visitor.close)
            visitor.setblocking(False)
            try:
                visitor.connect(str(self.path))
            except BlockingIOError:
                pass  # as many wait as may
        self.assertEqual(self.told, [f"{self.path}: another program serves it"] * 3)
        self.assertEqual(self.reactor.unixServers, [])
        self.assertTrue(self.path.is_socket())

    def test_other_file_stays(self) -> None:
        self.path.write_bytes(b"precious")
        self.socket.start()
        self.assertIn("is no socket", self.told[0])
        self.assertEqual(self.path.read_bytes(), b"precious")
