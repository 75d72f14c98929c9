"""Handshakes wait for their turns, and an ended connection leaves nothing for the cycle collector."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from chatproto.server.factory import ChatFactory
from chatproto.wire import bcp2_server
from tests.server.secure_ends import ONE, Client, Served
from tests.server.test_work_queue import Job


class Handshakes(Served):
    async def half(self) -> tuple[ChatFactory, Client]:
        """A client that has done its part, while the server has other work."""
        factory = self.serve()
        factory.turns.ask(Job(self.clock, 8))
        client = await self.connect()
        client.secure(self.handshake(ONE))
        await self.until(lambda: len(factory.turns) == 2)  # the hello
        self.clock.advance(0)
        factory.turns.ask(Job(self.clock, 8))
        await client.ready
        await self.until(lambda: len(factory.turns) == 2)  # the certificate and its proof
        return factory, client

    async def test_both_parts_of_one_wait_for_a_turn(self) -> None:
        _, client = await self.half()
        await self.calm()
        self.assertEqual((len(self.side.connections), client.gone), (0, False))
        self.clock.advance(0)
        self.assertEqual(len(self.side.connections), 1)
        client.send(bcp2_server.Observe(1))
        await self.until(lambda: bool(client.got))

    async def test_one_that_ends_while_it_waits_is_forgotten(self) -> None:
        factory, client = await self.half()
        factory.close_all(abort=True)
        await self.until(lambda: not len(factory))
        self.assertEqual(len(factory.turns), 1)
        self.clock.advance(0)
        await client.ended


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
        factory.turns.ask(Job(self.clock, 8))
        await friend.ready
        await self.until(lambda: len(factory.turns) == 2)
        await self.connect()
        await self.calm()
        self.clock.advance(0)
        self.assertEqual((friend.gone, len(self.side.connections)), (False, 1))

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
