"""Connections that are accepted and received at once, as Twisted's own port would have them."""

from __future__ import annotations

import resource
import socket
from itertools import product
from typing import Any
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread

from chatproto.net import fast_tcp
from tests.net.direct_ports import Noted, PortCase, Waiting, read_all

running: Any = reactor


@skipIf(fast_tcp.WHY_PLAIN, fast_tcp.WHY_PLAIN)
class FastPortTests(PortCase):
    def setUp(self) -> None:
        self.made = []

    def listen(self, *, refuses: bool = False, **options: bool) -> Any:
        def build() -> Noted | None:
            self.made.append(Noted(**options))
            return None if refuses else self.made[-1]

        factory: Any = Factory.forProtocol(build)
        factory.buildProtocol = self.addressed(build)
        return self.listen_with(factory)

    def addressed(self, build: Any) -> Any:
        self.addresses: list[Any] = []

        def build_protocol(address: Any) -> Any:
            self.addresses.append(address)
            return build()

        return build_protocol

    async def test_first_data_arrive_in_the_same_turn(self) -> None:
        port = self.listen()
        self.connect(port, b"hello").close()
        port.doRead()
        (ours,) = self.made
        self.assertEqual(ours.events, [b"hello"])
        self.assertNotIn(ours.transport, running.getReaders())
        await self.turn()
        self.assertEqual(ours.events, [b"hello", "end", ConnectionDone])

    async def test_silent_connection_is_watched_a_moment_later(self) -> None:
        port = self.listen()
        client = self.connect(port)
        port.doRead()
        (ours,) = self.made
        self.assertNotIn(ours.transport, running.getReaders())
        await self.turn()
        self.assertIn(ours.transport, running.getReaders())
        client.sendall(b"late")
        client.close()
        await ours.lost
        self.assertEqual(ours.events, [b"late", "end", ConnectionDone])

    async def test_new_connections_are_watched_when_their_port_is_closed(self) -> None:
        port = self.listen()
        self.connect(port)
        port.doRead()
        (ours,) = self.made
        await port.stopListening()
        self.assertIn(ours.transport, running.getReaders())
        self.assertNotIn("_look_again", str(running.getDelayedCalls()))

    async def test_a_connection_that_is_paused_at_once_is_not_read(self) -> None:
        port = self.listen(paused=True)
        self.connect(port, b"hello").close()
        port.doRead()
        (ours,) = self.made
        await self.turn()
        self.assertEqual(ours.events, [])
        ours.transport.resumeProducing()
        await ours.lost
        self.assertEqual(ours.events, [b"hello", "end", ConnectionDone])

    async def test_a_refused_connection_is_closed(self) -> None:
        port = self.listen(refuses=True)
        client = self.connect(port)
        port.doRead()
        self.assertEqual(client.recv(1), b"")

    async def test_a_mistake_with_the_first_data_ends_that_connection_alone(self) -> None:
        port = self.listen(mistake=True)
        self.connect(port, b"hello")
        self.connect(port, b"hello")
        port.doRead()
        kinds = [one.events for one in self.made]
        self.assertEqual(kinds, [[RuntimeError], [RuntimeError]])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    async def test_a_factory_that_fails_does_not_end_the_port(self) -> None:
        port = self.listen()
        port.factory.buildProtocol = lambda address: 1 // 0
        client = self.connect(port)
        port.doRead()
        self.assertEqual(client.recv(1), b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_pending_connections_are_closed_without_descriptors(self) -> None:
        port = self.listen()
        client = self.connect(port, b"hello")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as last:
            # Fewer than are open: not one more can be had.
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(last.fileno(), soft), hard))
            try:
                port.doRead()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client.settimeout(10)
        self.assertIn(self.ended(client), (b"", None))
        self.assertEqual(self.made, [])

    def ended(self, client: socket.socket) -> bytes | None:
        try:
            return client.recv(1)
        except ConnectionResetError:
            return None

    async def test_link_local_address_has_its_scope(self) -> None:
        port = self.listen()
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        real, port.socket = port.socket, Waiting(ours, ("fe80::1", 5, 0, 1))
        port.doRead()
        port.socket = real
        name, _, scope = self.addresses[0].host.partition("%")
        self.assertEqual((name, scope, self.addresses[0].port), ("fe80::1", "lo", 5))
        self.assertEqual(self.made[0].transport.getPeer(), self.addresses[0])

    async def test_all_pending_connections_are_accepted_at_once(self) -> None:
        port = self.listen()
        port.numberAccepts = 3
        for _ in range(5):
            self.connect(port, b"hello")
        port.doRead()
        self.assertEqual((len(self.made), port.numberAccepts), (3, 23))
        port.doRead()
        self.assertEqual((len(self.made), port.numberAccepts), (5, 2))

    async def test_connections_beyond_those_taken_together_are_accepted_too(self) -> None:
        self.patch(fast_tcp, "TOGETHER", 2)
        port = self.listen()
        port.numberAccepts = 5
        for _ in range(6):
            self.connect(port, b"hello")
        port.doRead()
        self.assertEqual([one.events for one in self.made], [[b"hello"]] * 5)

    async def test_data_of_a_connection_that_another_aborts_is_not_handed_on(self) -> None:
        port = self.listen()
        self.connect(port, b"hello")
        self.connect(port, b"hello")

        def end_all(noted: Noted, data: bytes) -> None:
            seen.append(data)
            for one in self.made:
                one.transport.abortConnection()

        self.patch(Noted, "dataReceived", end_all)
        seen: list[bytes] = []
        port.doRead()
        self.assertEqual(seen, [b"hello"])

    async def test_data_of_a_connection_that_another_pauses_comes_when_it_goes_on(self) -> None:
        port = self.listen()
        self.connect(port, b"hello")
        self.connect(port, b"hello")

        def pause_all(noted: Noted, data: bytes) -> None:
            seen.append(data)
            for one in self.made:
                one.transport.pauseProducing()

        self.patch(Noted, "dataReceived", pause_all)
        seen: list[bytes] = []
        for _ in range(2):
            port.doRead()
        await self.turn()
        self.assertEqual(seen, [b"hello"])
        for one in self.made:
            one.transport.resumeProducing()
        await self.turn()
        self.assertEqual(seen, [b"hello"] * 2)

    async def test_answers_are_those_that_twisted_s_own_port_sends(self) -> None:
        """Every order of short and long answers and of an end, on several connections at once."""
        acts = ("short", "long", "lose", "half", "")
        for doing in product(acts, repeat=3):
            told = []
            for why in ("", "a test wants it"):
                self.patch(fast_tcp, "WHY_PLAIN", why)
                told.append(await self.answers_to(doing))
            self.assertEqual(told[0], told[1], doing)

    async def answers_to(self, acts: tuple[str, ...]) -> list[bytes]:
        """Return what two clients read whose protocols do `acts` with their first data."""

        def act(noted: Noted, data: bytes) -> None:
            transport: Any = noted.transport
            for number, what in enumerate(acts):
                match what:
                    case "short" | "long":
                        size = 1 if what == "short" else 5000
                        transport.write(b"%d" % number * size)
                    case "lose":
                        transport.loseConnection()
                    case "half":
                        transport.loseWriteConnection()

        self.patch(Noted, "dataReceived", act)
        self.made.clear()
        port = self.listen()
        clients = [self.connect(port, b"hello") for _ in range(2)]
        port.doRead()
        await self.turn()
        for client in clients:
            client.shutdown(socket.SHUT_WR)
        answers = [await deferToThread(read_all, client) for client in clients]
        for one in self.made:
            await one.lost
        await port.stopListening()
        return answers

    async def test_connection_behaves_as_with_twisted_s_port(self) -> None:
        """Every order of data, turns of the reactor and an end leads to the same events."""
        for steps in product(("data", "turn", ""), repeat=3):
            for end in ("half", "close"):
                told = []
                for why in ("", "a test wants it"):
                    self.patch(fast_tcp, "WHY_PLAIN", why)
                    told.append(await self.events_of(steps, end))
                self.assertEqual(told[0], told[1], (steps, end))

    async def events_of(self, steps: tuple[str, ...], end: str) -> list[object]:
        """Return what the server's side sees of a client that does `steps` and then ends."""
        self.made.clear()
        port = self.listen()
        running.addReader(port)
        client = self.connect(port)
        for step in steps:
            if step == "data":
                client.sendall(b"data")
            elif step == "turn":
                await self.turn()
        if end == "half":
            client.shutdown(socket.SHUT_WR)
        else:
            client.close()
        while not self.made:
            await self.turn()
        (ours,) = self.made
        await ours.lost
        await port.stopListening()
        return list(ours.events)
