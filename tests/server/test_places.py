"""Who makes room when a server is full; an ended connection leaves nothing for the cycle collector."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from tests.server.secure_ends import ONE, Served
from tests.server.test_work_queue import Job


class Places(Served):
    async def test_a_handshake_that_waits_for_its_turn_makes_no_room_for_others(self) -> None:
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

    async def test_of_the_silent_a_client_with_a_key_makes_room_last(self) -> None:
        factory = self.serve()
        silent = await self.connect()
        await self.until(lambda: len(factory) == 1)
        friend = await self.come()
        self.assertEqual(len(factory.silent), 2)
        factory.most = 2
        await self.connect()
        await silent.ended
        self.assertFalse(friend.gone)


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
