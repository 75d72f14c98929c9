"""The server as a whole: real sockets, on loopback only."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientCreator, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.net.fast_tcp import DirectServer
from chatproto.server.listening import ListenSpec
from chatproto.server.service import EXPIRY_INTERVAL, ChatServer
from chatproto.stores.memory import MemoryRegistry
from tests.limits import DEFAULTS, Limits
from tests.server.test_secure_service import with_key

REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
REGACK = b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\nStatus: registered\r\n\r\n"
LOOPBACK = "tcp:0:interface=127.0.0.1"


class Other(Protocol):
    """A client's end."""

    def __init__(self) -> None:
        self.data = b""
        self.wanted = 1
        self.got: Deferred[bytes] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) >= self.wanted and not self.got.called:
            self.got.callback(self.data)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class AServer(TestCase):
    timeout = 20

    def start(self, *endpoints: str, **limits: float) -> ChatServer:
        self.said: list[str] = []
        values = Limits(**limits)  # type: ignore[arg-type]
        _, side = with_key(reactor)
        self.server = ChatServer(
            *(reactor, endpoints or (LOOPBACK,), MemoryRegistry(values)),
            *(side, values, self.said.append),
        )
        self.server.startService()
        self.addCleanup(lambda: self.server.running and self.server.stopService())
        return self.server

    async def connect(self) -> Other:
        host, port = self.server.addresses[0]
        host = "127.0.0.1" if host == "0.0.0.0" else host
        other: Other = await ClientCreator(reactor, Other).connectTCP(host, port)
        self.addCleanup(other.transport.abortConnection)  # type: ignore[union-attr]
        return other

    async def test_answers_on_a_socket_and_lets_the_client_close(self) -> None:
        self.start()
        other = await self.connect()
        other.transport.write(REGISTER)  # type: ignore[union-attr]
        self.assertEqual(await other.got, REGACK)
        self.assertEqual(list(self.server.info_lines()), ["alice 127.0.0.1:3000"])
        other.transport.loseConnection()  # type: ignore[union-attr]
        await other.lost
        while len(self.server.factory):
            await deferLater(reactor, 0.001)

    async def test_answers_half_closing_clients(self) -> None:
        host, port = self.start().addresses[0]

        def ask() -> bytes:
            answer = b""
            with socket.create_connection((host, port), 5) as client:
                client.sendall(REGISTER[:-2])
                client.shutdown(socket.SHUT_WR)
                while data := client.recv(1024):
                    answer += data
            return answer

        for _ in range(20):
            self.assertEqual(await deferToThread(ask), REGACK)

    async def test_is_undisturbed_by_clients_that_do_not_read(self) -> None:
        host, port = self.start().addresses[0]

        def ask() -> None:
            with socket.create_connection((host, port), 5) as client:
                client.sendall(REGISTER * 100)

        for _ in range(20):
            await deferToThread(ask)
        other = await self.connect()
        other.transport.write(REGISTER)  # type: ignore[union-attr]
        self.assertEqual(await other.got, REGACK)

    async def test_buffers_little_for_slow_readers_and_loses_nothing(self) -> None:
        self.start()
        other = await self.connect()
        other.transport.pauseProducing()  # type: ignore[union-attr]
        count = 60_000
        other.wanted = count * len(REGACK)
        other.transport.write(REGISTER * count)  # type: ignore[union-attr]
        while not (self.server.factory.spoken and next(iter(self.server.factory.spoken))._full):
            await deferLater(reactor, 0.001)
        transport = next(iter(self.server.factory.spoken)).transport
        waiting = len(transport.dataBuffer) + transport._tempDataLen
        self.assertLess(waiting, 2 * DEFAULTS.unsent)
        other.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(await other.got, REGACK * count)

    test_buffers_little_for_slow_readers_and_loses_nothing.timeout = 120  # type: ignore[attr-defined]  # read by trial

    async def test_prints_its_listening_addresses(self) -> None:
        self.start(LOOPBACK, LOOPBACK)
        self.assertEqual(
            self.said,
            [f"Server listening on {host}:{port}" for host, port in self.server.addresses],
        )
        self.assertEqual(len(self.server.addresses), 2)

    async def test_listens_on_all_addresses_for_a_port_number(self) -> None:
        self.start("0")
        hosts = [host for host, _ in self.server.addresses]
        self.assertEqual(hosts, ["0.0.0.0", "::"][: len(hosts)])
        self.assertEqual(len({port for _, port in self.server.addresses}), 1)

    async def test_hands_its_socket_options_to_every_connection(self) -> None:
        self.start()
        other = await self.connect()
        other.transport.write(REGISTER * 2)  # type: ignore[union-attr]
        await other.got
        transport = next(iter(self.server.factory.spoken)).transport
        self.assertIsInstance(transport, DirectServer)
        self.assertTrue(transport.getTcpKeepAlive())
        self.assertTrue(transport.getTcpNoDelay())

    async def test_refuses_to_start_on_a_taken_port_and_leaves_none_open(self) -> None:
        _, port = self.start().addresses[0]
        for text in (f"tcp:{port}:interface=127.0.0.1", str(port)):
            second = ChatServer(reactor, [LOOPBACK, text], *with_key(reactor))
            self.assertRaises(CannotListenError, second.startService)
            self.assertFalse(second.running)
            self.assertEqual(second.addresses, [])

    async def test_closes_all_connections_when_it_stops(self) -> None:
        self.start()
        others = [await self.connect() for _ in range(5)]
        others[0].transport.write(REGISTER)  # type: ignore[union-attr]
        await others[0].got
        await self.server.stopService()
        for other in others:
            await other.lost
        self.assertEqual(len(self.server.factory), 0)

    async def test_removes_a_client_on_request(self) -> None:
        self.start().directory.registry.keep(
            ClassicRegistration("alice", "127.0.0.1", 1, Origin("127.0.0.1", 2, True)), 0.0
        )
        self.assertTrue(self.server.forget("alice"))
        self.assertFalse(self.server.forget("alice"))
        self.assertEqual(list(self.server.info_lines()), [])


class Expiry(SynchronousTestCase):
    def start(self, registry: MemoryRegistry) -> Clock:
        clock = Clock()
        server = ChatServer(clock, [], registry, with_key(clock)[1])
        server.startService()
        self.addCleanup(server.stopService)
        return clock

    def test_ends_a_lease_after_its_time(self) -> None:
        registry = MemoryRegistry()
        registry.keep(
            ClassicRegistration("alice", "127.0.0.1", 1, Origin("127.0.0.1", 2, True)), 0.0
        )
        clock = self.start(registry)
        clock.advance(DEFAULTS.classic_lease - 1)
        self.assertEqual(len(registry), 1)
        clock.advance(EXPIRY_INTERVAL + 1)
        self.assertEqual(len(registry), 0)

    def test_continues_after_a_store_failure(self) -> None:
        class Broken(MemoryRegistry):
            tries = 0

            def expire(self, before: float, most: int = 1_000_000) -> int:
                self.tries += 1
                raise OSError("out of reach")

        registry = Broken()
        clock = self.start(registry)
        clock.pump([EXPIRY_INTERVAL] * 3)
        self.assertEqual(registry.tries, 3)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 3)


class APlace(SynchronousTestCase):
    def test_invalid_is_refused_in_one_sentence(self) -> None:
        for text in ("65536", "x", "tcp:", "tcp:x", "tcp:port", "", "-1", "5555.0", "tcp:1:a=b"):
            error = self.assertRaises(ValueError, ListenSpec, Clock(), text)
            self.assertNotIn("\n", str(error))
