"""The service with a key: its stop, its time, its operator."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.identity.tls import Tls
from chatproto.server.factory import ChatFactory
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import (
    COME_BACK_A_SECOND,
    STOPPED_A_SECOND,
    ChatServer,
    come_back_times,
    connections_for,
)
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.contracts.names import key
from tests.server.secure_ends import LOOPBACK, ONE, OTHER, SERVER, Served


def with_key(clock: Any) -> tuple[MemoryRegistry, SecureSide]:
    """Make the parts of a server with a key."""
    registry = MemoryRegistry()
    directory = KeyedDirectory(MemoryNames(), registry, lambda: "call")
    return registry, SecureSide(Tls(SERVER), directory, WorkQueue(clock))


class ComingBackTests(SynchronousTestCase):
    @given(st.integers(0, 1_000_000))
    def test_many_clients_return_later_and_spread_over_time(self, count: int) -> None:
        times = come_back_times(count)
        self.assertLess(count / len(times), COME_BACK_A_SECOND)
        self.assertLess(count / times[0], STOPPED_A_SECOND)

    def test_few_are_back_soon(self) -> None:
        self.assertEqual(list(come_back_times(10)), [1, 2])


class OpenFilesTests(SynchronousTestCase):
    def test_a_low_limit_leaves_half_of_the_files_to_connections(self) -> None:
        for files, connections in ((1, 1), (64, 32), (150, 75), (200, 100), (1024, 924)):
            self.assertEqual(connections_for(files), connections)


class AServerWithAKey(Served):
    def serve(self, tls_only: bool = False, keyed: bool = True, **limits: float) -> ChatFactory:
        registry, self.side = with_key(reactor)
        self.server = ChatServer(
            reactor, [LOOPBACK], registry, self.side, say=self.said.append, tls_only=tls_only
        )
        self.server.startService()
        self.addCleanup(lambda: self.server.running and self.server.stopService())
        self.factory = self.server.factory
        self.number = self.server.addresses[0][1]
        return self.factory

    async def test_sends_closing_to_all_when_it_stops(self) -> None:
        self.serve()
        alice, bob = await self.register("alice"), await self.register("bob", OTHER)
        silent, half = await self.connect(), await self.connect()
        half.send(b"\x16\x03\x01\x02\x00\x01")
        await self.calm()
        await self.server.stopService()
        for client in (alice, bob, silent, half):
            await client.ended
        for client in (alice, bob):
            (closing,) = client.got
            self.assertIsInstance(closing, bcp2_server.Closing)
            self.assertIn(closing.retry_after, (1, 2))
        self.assertEqual((silent.bytes, half.bytes), (b"", b""))
        self.assertEqual(len(self.factory), 0)

    async def test_shows_and_expels_those_with_keys(self) -> None:
        self.serve()
        alice = await self.register("alice")
        self.assertEqual(list(self.server.info_lines()), ["alice 127.0.0.1:5000"])
        self.assertIn("REGISTER: alice from 127.0.0.1:5000 received", self.said)
        self.assertFalse(self.server.forget("bob"))
        self.assertTrue(self.server.forget("alice"))
        await alice.ended
        self.assertEqual(alice.got, [Error(403)])
        self.assertEqual(list(self.server.info_lines()), [])

    async def test_frees_an_id_for_another_key(self) -> None:
        self.serve()
        alice = await self.register("alice")
        self.assertTrue(self.server.free("alice"))
        self.assertFalse(self.server.free("alice"))
        await alice.ended
        await self.register("alice", OTHER)
        self.assertEqual(self.side.directory.names.owner("alice"), OTHER.name)
        self.assertNotEqual(ONE.name, OTHER.name)
        client = await self.connect()
        client.send(b"REGISTER\r\nclientID: dia\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        await self.until(lambda: bool(client.bytes))
        self.assertTrue(self.server.free("dia"))
        self.assertFalse(self.server.free("dia"))

    async def test_gives_no_classic_client_the_id_of_a_key(self) -> None:
        self.serve()
        await self.register("alice")
        client = await self.connect()
        client.send(b"REGISTER\r\nclientID: a1ice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        await self.until(lambda: bool(client.bytes))
        self.assertEqual(client.bytes, b"ERROR\r\nStatus: 409 id taken\r\n\r\n")


class ItsTime(SynchronousTestCase):
    def test_ends_presences_and_unused_names(self) -> None:
        clock = Clock()
        registry, side = with_key(clock)
        server = ChatServer(clock, [], registry, side)
        server.startService()
        self.addCleanup(server.stopService)
        alice = ClientConnection(key(1), "192.0.2.1", 1)
        side.directory.answer(bcp2_server.Register(1, "alice", 5000, expires=60), alice, 0.0)
        side.directory.lost(alice, 0.0)
        clock.advance(61)
        self.assertFalse(side.directory.knows("alice"))
        self.assertEqual(side.directory.names.owner("alice"), key(1))
        clock.advance(side.directory.limits.keep_names)
        self.assertIsNone(side.directory.names.owner("alice"))

    def test_continues_after_a_store_failure(self) -> None:
        class Broken(MemoryNames):
            tries = 0

            def expire(
                self, before: float, trials_before: float | None = None, most: int = 1_000
            ) -> int:
                self.tries += 1
                raise OSError("out of reach")

        clock = Clock()
        registry, side = with_key(clock)
        names = side.directory.names = Broken()
        server = ChatServer(clock, [], registry, side)
        server.startService()
        self.addCleanup(server.stopService)
        clock.pump([1.0] * 3)
        self.assertEqual(names.tries, 3)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 3)
