"""Who makes room when a server is full; an ended connection leaves nothing for the cycle collector."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from chatproto.relay.protocol import RelayConnection, Relays
from chatproto.wire import bcp2_server
from tests.server.secure_ends import ONE, Served
from tests.server.test_work_queue import Job


class Places(Served):
    async def test_queued_handshake_is_not_closed_for_others(self) -> None:
        factory = self.serve()
        factory.most = 2
        factory.turns.ask(Job(self.clock, 8))
        friend = await self.connect()
        friend.secure(self.handshake(ONE))
        await self.until(lambda: len(factory.turns) == 2)
        for _ in range(3):  # each puts out the one before it
            await self.connect()
            await self.calm()
        self.assertFalse(friend.gone)
        self.clock.advance(0)
        await friend.ready
        await self.until(lambda: len(self.side.connections) == 1)
        self.assertFalse(friend.gone)

    async def test_plain_connections_without_a_registration_leave_places(self) -> None:
        factory = self.serve()
        factory.most = 4
        silent = await self.connect()
        plain = [await self.connect() for _ in range(3)]
        for one in plain:
            one.send(b"PROBE\r\n\r\n")
        await self.until(lambda: all(one.bytes for one in plain))
        await self.connect()
        await self.until(lambda: any(one.gone for one in plain))
        self.assertEqual((silent.gone, sum(one.gone for one in plain)), (False, 1))

    async def test_half_a_relay_block_makes_room(self) -> None:
        factory = self.serve()
        factory.relay = Relays(self.clock, factory.limits, str)
        factory.most = 2
        friend = await self.come()
        half = await self.connect()
        half.send(b"RELAY\r\nTick")
        await self.until(lambda: any(isinstance(one, RelayConnection) for one in factory.silent))
        newcomer = await self.connect()
        await half.ended
        self.assertFalse(friend.gone)
        self.assertFalse(newcomer.gone)

    async def test_half_a_hello_makes_room_before_a_whole_one(self) -> None:
        factory = self.serve()
        factory.most = 2
        friend = await self.come()
        half = await self.connect()
        half.send(b"\x16\x03\x01\x02\x00\x01")
        await self.until(lambda: len(factory) == 2)
        await self.connect()
        await half.ended
        self.assertFalse(friend.gone)

    async def test_keyed_silent_client_is_closed_last(self) -> None:
        factory = self.serve()
        silent = await self.connect()
        await self.until(lambda: len(factory) == 1)
        friend = await self.come()
        self.assertEqual(len(factory.silent), 2)
        factory.most = 2
        await self.connect()
        await silent.ended
        self.assertFalse(friend.gone)

    async def test_another_port_has_at_most_half_of_the_places_and_they_count_here(self) -> None:
        factory = self.serve()
        factory.most = 4
        self.assertEqual([factory.admit("127.0.0.1") for _ in range(3)], [True, True, False])
        friends = [await self.come(), await self.come()]
        self.assertEqual(factory.taken, 4)
        for number, one in enumerate(friends):  # they are in use, and keep their places
            one.send(bcp2_server.Register(1, f"friend{number}", 3000))
        await self.until(lambda: len(factory.spoken) == 2)
        third = await self.connect()
        await third.ended
        factory.leave("127.0.0.1")
        self.assertTrue(factory.admit("127.0.0.1"))
        factory.leave("127.0.0.1")
        fourth = await self.connect()
        await self.until(lambda: len(factory) == 3)
        self.assertFalse(fourth.gone)

    async def test_another_port_is_given_the_place_of_a_silent_client(self) -> None:
        factory = self.serve()
        factory.most = 2
        silent = await self.connect()
        await self.connect()
        await self.until(lambda: len(factory) == 2)
        self.assertTrue(factory.admit("127.0.0.1"))
        await silent.ended
        self.assertEqual(factory.taken, 2)

    async def test_address_has_one_count_for_all_ports(self) -> None:
        factory = self.serve(connections_per_address=2)
        self.assertEqual([factory.admit("192.0.2.1") for _ in range(3)], [True, True, False])
        factory.leave("192.0.2.1")
        self.assertEqual(factory.taken, 1)
        self.assertTrue(factory.admit("192.0.2.1"))


class Memory(Served):
    async def kept(self, parts: Callable[[Any], list[Any]], text: bytes | None = None) -> list[Any]:
        """The parts of a connection that are there after its end."""
        factory = self.serve()
        if text is None:
            client = await self.register("alice")
        else:
            client = await self.connect()
            client.send(text)
            await self.until(lambda: bool(client.bytes))
        gc.collect()
        self.addCleanup(gc.enable)
        gc.disable()
        (connection,) = factory.spoken or factory.passing
        left = [ref(one) for one in parts(connection)]
        del connection
        client.transport.abortConnection()
        await self.until(lambda: not len(factory))
        await self.calm()
        return [one() for one in left if one() is not None]

    async def test_of_a_connection_with_a_key_is_free_at_its_end(self) -> None:
        def parts(connection: Any) -> list[Any]:
            transport = connection.transport
            return [connection, transport, transport.protocol, transport.protocol._tlsConnection]

        self.assertEqual(await self.kept(parts), [])

    async def test_of_a_classic_connection_is_free_at_its_end(self) -> None:
        self.assertEqual(
            await self.kept(lambda one: [one, one.transport], b"PROBE\r\n\r\n"),
            [],
        )
