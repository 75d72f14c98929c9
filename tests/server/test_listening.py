"""Sockets that somebody else has opened."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from chatproto.server.listening import check_family


class CheckFamilyTests(TestCase):
    async def test_a_socket_of_another_family_is_refused_and_closed(self) -> None:
        adopting: Any = reactor
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as opened:
            port = adopting.adoptStreamPort(opened.fileno(), socket.AF_INET, Factory())
            with self.assertRaises(ValueError) as caught:
                check_family(port, "systemd:domain=INET:index=0")
            self.assertIn("write domain=INET6", str(caught.exception))
            await deferLater(adopting, 0)
            self.assertFalse(port.connected)
            port = adopting.adoptStreamPort(opened.fileno(), socket.AF_INET6, Factory())
            check_family(port, "systemd:domain=INET6:index=0")
            await port.stopListening()
