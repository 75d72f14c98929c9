"""The port and the socket for IRC clients, and the password."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.irc.listening import (
    LONGEST,
    PASSWORD_FILE,
    PortListener,
    SocketListener,
    read_password,
)
from chatproto.wire.errors import CannotStart


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.path = self.home / PASSWORD_FILE
        self.complaints: list[str] = []


class PasswordTests(Case):
    def test_is_made_once_and_private(self) -> None:
        word = read_password(self.home)
        self.assertGreater(len(word), 20)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(read_password(self.home), word)

    def test_of_ones_own_becomes_private(self) -> None:
        self.path.write_text("my word\nnot this\n")
        self.path.chmod(0o644)
        self.assertEqual(read_password(self.home), "my word")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_invalid_prevents_the_start(self) -> None:
        for data in (b"", b"\n", b"x" * (LONGEST + 1), b"\xff\n"):
            self.path.write_bytes(data)
            self.assertIn(
                str(self.path), str(self.assertRaises(CannotStart, read_password, self.home))
            )
        self.path.unlink()
        os.mkfifo(self.path)
        self.assertRaises(CannotStart, read_password, self.home)


class ListenerTests(Case):
    def test_a_port_is_on_the_loopback_interface_only(self) -> None:
        reactor = MemoryReactor()
        listener = PortListener(reactor, 6667, Factory(), self.home, self.complaints.append)
        self.assertIn("IRC clients connect to 127.0.0.1,", listener.where())
        listener.startService()
        (port,) = reactor.tcpServers
        self.assertEqual((port[0], port[3]), (6667, "127.0.0.1"))
        self.successResultOf(listener.stopService())
        self.successResultOf(listener.stopService())
        self.assertIn(str(self.path), listener.where())

    def test_taken_port_is_reported(self) -> None:
        class Taken(MemoryReactor):
            def listenTCP(self, *given: Any, **named: Any) -> Any:
                raise CannotListenError("127.0.0.1", 6667, OSError(98, "Address already in use"))

        listener = PortListener(Taken(), 6667, Factory(), self.home, self.complaints.append)
        listener.startService()
        self.assertEqual(
            self.complaints,
            ["IRC clients cannot connect to 127.0.0.1 port 6667: Address already in use"],
        )

    def test_a_socket_is_for_its_owner(self) -> None:
        reactor = MemoryReactor()
        listener = SocketListener(reactor, self.home / "irc", Factory(), self.complaints.append)
        listener.startService()
        (socket,) = reactor.unixServers
        self.assertEqual((socket[0], socket[3]), (str(self.home / "irc"), 0o600))
        self.assertIn(str(self.home / "irc"), listener.where())
        self.successResultOf(listener.stopService())

    def test_another_file_at_the_place_of_the_socket_stays(self) -> None:
        path = self.home / "irc"
        path.write_text("mine")
        listener = SocketListener(MemoryReactor(), path, Factory(), self.complaints.append)
        listener.startService()
        wrong = f"IRC clients cannot connect to {path}: it is there already, and is no socket"
        self.assertEqual((self.complaints, path.read_text()), ([wrong], "mine"))

    def test_impossible_socket_is_reported(self) -> None:
        class Taken(MemoryReactor):
            def listenUNIX(self, address: str, *given: Any, **named: Any) -> Any:
                raise CannotListenError(None, address, OSError(98, "Address already in use"))

        path = self.home / "irc"
        listener = SocketListener(Taken(), path, Factory(), self.complaints.append)
        listener.startService()
        wrong = f"IRC clients cannot connect to {path}: Address already in use"
        self.assertEqual(self.complaints, [wrong])
