"""Test that `write_to_all` does for each connection what its own `write` does."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Any
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread

from chatproto.net import fast_tcp
from chatproto.net.fast_tcp import DirectServer, write_to_all
from tests.net.direct_ports import Noted, PortCase, read_all

running: Any = reactor
FULL = bytes(10_000_000)
LONG = b"x" * 5_000_000  # a socket takes a part of it
STATES = ("free", "full", "closing", "aborted", "broken", "layered")


def write_to_each(connections: Iterable[Any], data: bytes) -> None:
    """Do what `write_to_all` stands for."""
    for one in connections:
        one.write(data)


@skipIf(fast_tcp.WHY_PLAIN, fast_tcp.WHY_PLAIN)
class WriteToAllTests(PortCase):
    def setUp(self) -> None:
        self.made = []

    def bring(self, connection: Any, state: str) -> None:
        """Bring a new `connection` into `state`."""
        if state == "full":
            connection.write(FULL)
        elif state == "closing":
            connection.write(FULL)
            connection.loseConnection()
        elif state == "aborted":
            connection.abortConnection()
        elif state == "broken":
            connection.socket.shutdown(socket.SHUT_WR)
        elif state == "layered":  # as `startTLS` leaves it
            beneath: Callable[[bytes], object] = connection.write
            connection.TLS = True
            connection.write = lambda data: beneath(b"<%s>" % data)

    async def outcome(self, write: Callable[[Iterable[Any], bytes], None]) -> list[object]:
        """Return what the clients read, and how the connections ended, of one in each state."""

        def build() -> Noted:
            ours = Noted()
            self.made.append(ours)
            return ours

        factory: Any = Factory.forProtocol(build)
        port = self.listen_with(factory)
        clients = [self.connect(port) for _ in STATES]
        begun = len(self.made)
        while len(self.made) < begun + len(clients):
            port.doRead()
        made = self.made[begun:]
        await self.turn()  # none is new then
        connections = [ours.transport for ours in made]
        for one, state in zip(connections, STATES, strict=True):
            assert isinstance(one, DirectServer)
            self.bring(one, state)
        read = clients[STATES.index("full")].recv(1_000_000)  # its socket takes more now
        write(connections, b"one ")
        write(connections, LONG)
        found: list[object] = []
        for one, client, ours in zip(connections, clients, made, strict=True):
            if not ours.lost.called:
                one.TLS = False
                one.loseConnection()
            with contextlib.suppress(OSError):  # one is reset
                client.shutdown(socket.SHUT_WR)
            data = await deferToThread(read_all, client)
            found.append(data.replace(FULL[len(read) :], b"full ").replace(LONG, b"long"))
            await ours.lost
            found.append(ours.events)
        return found

    async def test_each_is_sent_what_its_own_write_sends(self) -> None:
        together, each = await self.outcome(write_to_all), await self.outcome(write_to_each)
        self.assertEqual(together, each)
        self.assertEqual(together[:4:2], [b"one long", b"full one long"])
        self.assertEqual(together[-2], b"<one ><long>")
