"""Connections that are answered and ended without a transport, as a protocol would have them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread

from chatproto.net import arrivals, fast_tcp
from chatproto.net.arrivals import DirectFactory, Refused
from tests.net.direct_ports import Noted, PortCase, Waiting, read_all

running: Any = reactor
MANY = b"0123456789abcdef" * 65536


def sockets() -> int:
    """Return how many sockets this process has open."""
    names = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            names.append(str(one.readlink()))
    return sum(name.startswith("socket:") for name in names)


class Answering(Noted):
    """Answers whatever comes with the same in capitals."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.write(data.upper())


class Visits(DirectFactory):
    """Answers `hello` and `many` itself; counts who is here."""

    def __init__(self) -> None:
        self.most = 1000
        self.here: list[tuple[str, int]] = []
        self.made: list[Answering] = []
        self.own_hosts: list[str] = []

    def buildProtocol(self, addr: Any) -> Protocol:
        return self.make_protocol((addr.host, addr.port), False)

    def arrive(self, host: str, port: int) -> tuple[str, int]:
        self.here.append((host, port))
        return host, port

    def answer(
        self, visit: tuple[str, int], own_host: Callable[[], str], data: bytes
    ) -> bytes | None:
        if visit[0] == "127.0.0.1":
            self.own_hosts.append(own_host())
        return {b"hello": b"HELLO", b"many": MANY}.get(data)

    def make_protocol(self, visit: tuple[str, int], was_answered: bool) -> Protocol:
        self.made.append(Answering())
        return self.made[-1]

    @property
    def room(self) -> int:
        return self.most - len(self.here)

    def depart(self, visit: tuple[str, int]) -> None:
        self.here.remove(visit)


@skipIf(fast_tcp.WHY_PLAIN, fast_tcp.WHY_PLAIN)
class ArrivalTests(PortCase):
    def setUp(self) -> None:
        self.factory = Visits()
        self.made = self.factory.made

    def listen(self) -> Any:
        return self.listen_with(self.factory)

    def give(self, port: Any, address: tuple[Any, ...] = ("192.0.2.7", 5)) -> socket.socket:
        """Have `port` accept one end of a pair from `address`; return the other end."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        theirs.settimeout(10)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        real, port.socket = port.socket, Waiting(ours, address)
        self.addCleanup(setattr, port, "socket", real)
        return theirs

    async def test_an_answered_connection_ends_without_a_protocol(self) -> None:
        port = self.listen()
        client = self.connect(port, b"hello")
        port.doRead()
        self.assertEqual(client.recv(10), b"HELLO")
        client.shutdown(socket.SHUT_WR)
        while self.factory.here:
            await self.turn()
        self.assertEqual((client.recv(1), self.factory.made), (b"", []))
        self.assertEqual(self.factory.own_hosts, ["127.0.0.1"])
        self.assertNotIn("_look_again", str(running.getDelayedCalls()))

    async def test_slightly_late_first_data_are_answered(self) -> None:
        port = self.listen()
        client = self.connect(port)
        port.doRead()
        client.sendall(b"hello")
        await self.turn()
        self.assertEqual((client.recv(10), self.factory.made), (b"HELLO", []))

    async def test_silent_connection_gets_a_protocol_a_moment_later(self) -> None:
        port = self.listen()
        client = self.connect(port)
        port.doRead()
        while not self.factory.made:
            await self.turn()
        (ours,) = self.factory.made
        self.assertIn(ours.transport, running.getReaders())
        client.sendall(b"late")
        client.close()
        await ours.lost
        self.assertEqual(ours.events, [b"late", "end", ConnectionDone])

    async def test_silent_connection_gets_a_protocol_at_once_on_a_full_server(
        self,
    ) -> None:
        port = self.listen()
        self.factory.most = 2
        clients = [self.connect(port) for _ in range(4)]
        port.doRead()
        peers: list[Any] = [one.transport.getPeer() for one in self.factory.made]
        self.assertEqual([one.port for one in peers], [one.getsockname()[1] for one in clients])

    async def test_further_data_go_to_a_protocol(self) -> None:
        port = self.listen()
        client = self.connect(port, b"hello")
        port.doRead()
        client.sendall(b"hello")
        while not self.factory.made:
            await self.turn()
        self.assertEqual(self.factory.made[0].events, [b"hello"])

    async def test_one_that_stays_is_watched_when_patience_ends(self) -> None:
        self.patch(arrivals, "PATIENCE", 0.0)
        port = self.listen()
        client = self.connect(port, b"hello")
        port.doRead()
        self.assertEqual(self.factory.made, [])
        while not self.factory.made:
            await self.turn()
        (ours,) = self.factory.made
        self.assertIn(ours.transport, running.getReaders())
        client.recv(10)
        client.close()
        await ours.lost
        self.assertEqual(ours.events, ["end", ConnectionDone])

    async def test_no_more_than_a_bound_are_looked_at_again(self) -> None:
        self.patch(arrivals, "MOST_ANSWERED", 1)
        self.patch(arrivals, "PATIENCE", 60.0)
        port = self.listen()
        port.numberAccepts = 3
        for _ in range(3):
            self.connect(port, b"hello")
        port.doRead()
        while not self.factory.made:
            await self.turn()
        await self.turn()
        self.assertEqual((len(self.factory.here), len(self.factory.made)), (3, 2))

    async def test_unsent_part_of_an_answer_is_sent_later(self) -> None:
        port = self.listen()
        theirs = self.give(port)
        theirs.sendall(b"many")
        port.doRead()
        theirs.shutdown(socket.SHUT_WR)
        self.assertEqual(await deferToThread(read_all, theirs), MANY)

    async def test_a_broken_connection_ends(self) -> None:
        port = self.listen()
        theirs = self.give(port)
        theirs.sendall(b"hello")
        theirs.close()
        port.doRead()
        await self.factory.made[0].lost

    async def test_a_reset_connection_departs(self) -> None:
        port = self.listen()
        client = self.connect(port, b"hello")
        port.doRead()
        client.close()  # with the answer unread: a reset
        while self.factory.here:
            await self.turn()
        self.assertEqual(self.factory.made, [])

    async def test_refused_connection_gets_an_answer_or_is_closed(self) -> None:
        class Word(Protocol):
            transport: Any  # there is one while it is connected

            def connectionMade(self) -> None:
                self.transport.write(b"no")
                self.transport.loseConnection()

        refusals = [Word(), None]

        def refuse(host: str, port: int) -> None:
            raise Refused(refusals.pop(0))

        self.patch(self.factory, "arrive", refuse)
        for said in (b"no", b""):
            port = self.listen()
            client = self.connect(port)
            port.doRead()
            self.assertEqual(await deferToThread(read_all, client), said)

    async def test_a_factory_that_fails_ends_that_connection_alone(self) -> None:
        for method in ("arrive", "answer", "make_protocol"):
            self.factory = Visits()
            good = getattr(self.factory, method)
            calls: list[int] = []

            def fail(
                *arguments: Any, good: Callable[..., Any] = good, calls: list[int] = calls
            ) -> Any:
                calls.append(1)
                return good(*arguments) if len(calls) > 1 else 1 // 0

            setattr(self.factory, method, fail)
            port = self.listen()
            first, second = self.connect(port, b"other"), self.connect(port, b"other")
            port.numberAccepts = 2
            port.doRead()
            self.assertEqual(await deferToThread(read_all, first), b"")
            self.assertEqual(second.recv(10), b"OTHER")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_stopping_port_gives_every_connection_a_protocol(self) -> None:
        port = self.listen()
        clients = [self.connect(port), self.connect(port, b"hello")]
        port.numberAccepts = 2
        port.doRead()
        stopped = port.stopListening()
        self.assertEqual(len(self.factory.made), 2)
        self.assertTrue(all(one.transport in running.getReaders() for one in self.factory.made))
        late = self.connect(port, b"hello")
        port.doRead()
        self.assertEqual(len(self.factory.here), 2)
        await stopped
        self.assertNotIn("_look_again", str(running.getDelayedCalls()))
        for client in (*clients, late):
            client.close()

    async def test_link_local_address_has_its_scope(self) -> None:
        port = self.listen()
        theirs = self.give(port, ("fe80::1", 5, 0, 1))
        theirs.sendall(b"other")
        port.doRead()
        self.assertEqual(self.factory.here, [("fe80::1%lo", 5)])
        peer: Any = self.factory.made[0].transport.getPeer()
        self.assertEqual((peer.host, peer.port), ("fe80::1%lo", 5))

    async def test_no_descriptor_is_left_open(self) -> None:
        port = self.listen()
        before = sockets()
        for data in (b"", b"hello", b"other"):
            self.connect(port, data).close()
            port.doRead()
        while sockets() != before:
            await self.turn()

    async def test_answers_are_those_that_twisted_s_own_port_sends(self) -> None:
        """Every order of data, turns of the reactor and an end leads to the same answers."""
        for steps in product(("hello", "other", "turn", ""), repeat=3):
            told = []
            for why in ("", "a test wants it"):
                self.patch(fast_tcp, "WHY_PLAIN", why)
                told.append(await self.answers_to(steps))
            self.assertEqual(told[0], told[1], steps)

    async def answers_to(self, steps: tuple[str, ...]) -> bytes:
        """Return what a client reads that does `steps` and then says no more."""
        port = self.listen()
        running.addReader(port)
        client = self.connect(port)
        for step in steps:
            if step == "turn":
                await self.turn()
            else:
                client.sendall(step.encode())
        client.shutdown(socket.SHUT_WR)
        answer = await deferToThread(read_all, client)
        await port.stopListening()
        return answer
