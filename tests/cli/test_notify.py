"""Messages to systemd: NOTIFY_SOCKET of `Type=notify`."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.notify import VARIABLE, Notifier, notifier


class NotifierTests(SynchronousTestCase):
    def listen(self, address: str) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.bind(address)
        listening.settimeout(5)
        return listening

    def folder(self) -> Path:
        folder = tempfile.TemporaryDirectory()  # the path of a socket is short
        self.addCleanup(folder.cleanup)
        return Path(folder.name)

    def test_states_are_lines_of_one_datagram(self) -> None:
        address = str(self.folder() / "notify")
        systemd = self.listen(address)
        self.patch(os, "environ", {VARIABLE: address})
        told = notifier()
        self.assertNotIn(VARIABLE, os.environ)
        told.ready("listening on [::]:5555")
        told.status("draining")
        told.stopping()
        self.assertEqual(systemd.recv(1000), b"READY=1\nSTATUS=listening on [::]:5555")
        self.assertEqual(systemd.recv(1000), b"STATUS=draining")
        self.assertEqual(systemd.recv(1000).splitlines()[0], b"STOPPING=1")

    def test_reloading_includes_the_time(self) -> None:
        address = f"@chatproto-test-{os.getpid()}"
        systemd = self.listen(f"\0{address[1:]}")
        Notifier(address).reloading()
        self.assertRegex(systemd.recv(1000), rb"^RELOADING=1\nMONOTONIC_USEC=\d+$")

    def test_nothing_is_sent_without_a_socket(self) -> None:
        self.patch(os, "environ", {})
        notifier().ready("")

    def test_missing_socket_is_logged_once(self) -> None:
        told = Notifier(str(self.folder() / "gone"))
        said: list[object] = []
        self.patch(
            told, "log", type("Log", (), {"error": lambda *_, **fields: said.append(fields)})
        )
        told.ready("")
        told.stopping()
        self.assertEqual(len(said), 1)
