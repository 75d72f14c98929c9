"""The server's port inside TLS: what is said, in which order, and for how long."""

from __future__ import annotations

from chatproto.directory.registrations import ClientConnection, PushTo
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from chatproto.wire.classic import write_status
from chatproto.wire.fields import Contact
from tests.contracts.names import key
from tests.server.secure_ends import ONE, OTHER, SERVER, Served

ADDRESS = ("127.0.0.1", 5000)
PLAIN = b"REGISTER\r\nclientID: carol\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
PLAIN_ACK = (
    b"REGACK\r\nclientID: carol\r\nIP: 127.0.0.1\r\nPort: 3000\r\nStatus: registered\r\n\r\n"
)


def refusal(status: int) -> bytes:
    return f"ERROR\r\nStatus: {write_status(status)}\r\n\r\n".encode()


class Requests(Served):
    async def test_are_answered_with_their_numbers_from_register_to_ping(self) -> None:
        self.serve()
        handshake = self.handshake(ONE)
        alice = await self.come(creator=handshake)
        self.assertEqual(handshake.peer_key, SERVER.name)
        port = alice.transport.getHost().port
        answer = await self.ask(alice, bcp2_server.Register(1, "alice", 5000))
        self.assertEqual(answer, bcp2_server.RegAck(1, "alice", 3600, ("127.0.0.1", port)))
        bob = await self.register("bob", OTHER)
        answer = await self.ask(bob, bcp2_server.Bridge(2, "alice"))
        self.assertEqual(answer, bcp2_server.BridgeAck(2, "alice", ONE.name, (ADDRESS,), "call1"))
        await self.until(lambda: len(alice.got) == 2)
        self.assertEqual(
            alice.got[1], bcp2_server.Introduce("bob", OTHER.name, (ADDRESS,), "call1")
        )
        answer = await self.ask(bob, bcp2_server.Info(3))
        self.assertEqual(
            [(one.client_id, one.key) for one in answer.contacts],
            [("alice", ONE.name), ("bob", OTHER.name)],
        )
        bob.got.clear()
        bob.send(bcp2_server.Watch(4, "alice"), bcp2_server.Unwatch(5, "alice"), Ping(6))
        await self.until(lambda: len(bob.got) == 4)
        expected = [
            bcp2_server.WatchAck(4, "alice"),
            bcp2_server.Presence("alice", "online"),
            bcp2_server.UnwatchAck(5, "alice"),
            PingAck(6),
        ]
        self.assertEqual(bob.got, expected)

    async def test_of_a_chunk_are_answered_in_order(self) -> None:
        self.serve()
        alice = await self.register("alice")
        alice.send(*[Ping(number) for number in range(3000)])
        await self.until(lambda: len(alice.got) == 3000 or alice.gone)
        self.assertEqual([one.cseq for one in alice.got], list(range(3000)))

    async def test_byte_by_byte_are_answered(self) -> None:
        self.serve()
        alice = await self.come()
        for byte in b"PING\r\nCSeq: 3\r\n\r\n":
            alice.send(bytes([byte]))
            await self.calm()
        await self.until(lambda: bool(alice.got))
        self.assertEqual(alice.got, [PingAck(3)])

    async def test_with_large_answers_wait_for_the_reader(self) -> None:
        self.serve(unsent=16 * 1024)
        names = self.side.directory
        for number in range(100):
            self.fill(f"x{number:03}", number)
        self.assertEqual(len(names.contacts()), 100)
        alice = await self.come()
        alice.send(*[bcp2_server.Info(number) for number in range(400)])
        await self.until(lambda: len(alice.got) == 400 or alice.gone)
        self.assertEqual([one.cseq for one in alice.got], list(range(400)))
        self.assertEqual({len(one.contacts) for one in alice.got}, {100})
        self.assertEqual(await self.ask(alice, Ping(1)), PingAck(1))

    def fill(self, client_id: str, number: int) -> None:
        client = ClientConnection(key(number), "192.0.2.1", 1)
        self.side.directory.answer(bcp2_server.Register(1, client_id, 5000), client, 0.0)

    async def test_unknown_are_405_malformed_are_400_and_reading_continues(self) -> None:
        self.serve()
        alice = await self.come()
        alice.send(
            b"DANCE\r\nCSeq: 5\r\n\r\n",
            b"REGISTER\r\nCSeq: 6\r\nclientID: -\r\nPort: 1\r\n\r\n",
            b"WATCH\r\nCSeq: 7\r\n\r\n",
            Ping(8),
        )
        await self.until(lambda: len(alice.got) == 4)
        self.assertEqual(alice.got, [Error(405, 5), Error(400, 6), Error(400, 7), PingAck(8)])

    async def test_with_framing_errors_are_the_last(self) -> None:
        self.serve()
        for data, expected in (
            (b"PING\nCSeq: 1\n\n", Error(400)),
            (b"PING\r\nCSeq: 1\r\n" + b"x" * 1100, Error(413, 1)),
            (b"PING\r\nCSeq: 1\r\n" + b"A: b\r\n" * 40, Error(413, 1)),
            (b"DANCE\r\nCSeq: 2\r\nContent-Length: 9000\r\n\r\n", Error(413, 2)),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Error(400)),
        ):
            alice = await self.come()
            alice.send(Ping(9), data)
            await alice.ended
            self.assertEqual(alice.got, [PingAck(9), expected], data)


class Time(Served):
    async def test_is_10_seconds_for_the_first_request(self) -> None:
        self.serve()
        alice = await self.come()
        self.pass_time(9)
        await self.calm()
        self.assertFalse(alice.gone)
        self.pass_time(2)
        await alice.ended
        self.assertEqual(alice.got, [Error(408)])

    async def test_is_10_seconds_for_the_handshake(self) -> None:
        self.serve()
        client = await self.connect()
        client.send(b"\x16\x03\x01\x02\x00\x01")
        await self.until(lambda: bool(self.factory.wheel))
        self.pass_time(9)
        await self.calm()
        self.assertFalse(client.gone)
        self.pass_time(2)
        await client.ended
        self.assertEqual(client.bytes, b"")

    async def test_is_10_seconds_for_a_slowly_sent_block(self) -> None:
        self.serve()
        alice = await self.register("alice")
        for byte in b"PING\r\nCSe":
            alice.send(bytes([byte]))
            await self.calm()
            self.pass_time(1)
        self.assertFalse(alice.gone)
        self.pass_time(2)
        await alice.ended
        self.assertEqual(alice.got, [Error(408)])

    async def test_is_30_seconds_for_a_body_s_pause(self) -> None:
        self.serve()
        alice = await self.register("alice")
        [theirs] = self.side.connections.values()
        alice.send(b"DANCE\r\nCSeq: 4\r\nContent-Length: 100\r\n\r\n")
        await self.until(lambda: theirs.unfinished == "body")
        for _ in range(3):
            self.pass_time(25)
            alice.send(b"x")
            await self.until(lambda: theirs._heard == self.clock.seconds())
        self.pass_time(25)
        await self.calm()
        self.assertFalse(alice.gone)
        self.pass_time(6)
        await alice.ended
        self.assertEqual(alice.got, [Error(408)])

    async def test_of_silence_is_90_seconds_to_ping_and_150_to_close(self) -> None:
        self.serve()
        alice = await self.register("alice")
        self.pass_time(89)
        await self.calm()
        self.assertEqual(alice.got, [])
        self.pass_time(2)
        await self.until(lambda: bool(alice.got))
        self.assertEqual(alice.got, [Ping()])
        self.pass_time(58)
        await self.calm()
        self.assertFalse(alice.gone)
        self.pass_time(2)
        await alice.ended
        self.assertEqual(alice.got, [Ping(), Error(408)])
        await self.until(lambda: not self.side.directory.contacts())

    async def test_continues_after_pingack(self) -> None:
        self.serve()
        alice = await self.register("alice")
        for count in (1, 2, 3):
            self.pass_time(91)
            await self.until(lambda count=count: len(alice.got) == count)  # type: ignore[misc]
            alice.send(PingAck())
            await self.calm()
        self.assertEqual(alice.got, [Ping()] * 3)
        self.assertFalse(alice.gone)


class Others(Served):
    async def test_get_messages_while_a_stuck_reader_is_dropped(self) -> None:
        self.serve(unsent=64 * 1024)
        deaf = await self.register("deaf")
        bob = await self.register("bob", OTHER)
        deaf.transport.pauseProducing()
        page = self.page()
        for count in range(1, 400):
            both = [*self.side.connections]
            if len(both) < 2:
                break
            for client in both:
                self.side.apply([PushTo(client, page)])
            await self.until(lambda count=count: len(bob.got) == count)  # type: ignore[misc]
        self.assertEqual([one.client_id for one in self.side.connections], ["bob"])
        bob.got.clear()
        self.assertEqual(await self.ask(bob, Ping(3)), PingAck(3))

    def page(self) -> bcp2_server.InfoAck:
        return bcp2_server.InfoAck(
            1, tuple(Contact(f"x{n:063}", "192.0.2.1", 5000, ONE.name) for n in range(500))
        )

    async def test_get_as_much_at_each_pause_as_at_the_first(self) -> None:
        self.serve(unsent=1000)
        client = await self.register("alice")
        [connection] = self.side.connections.values()
        for _ in range(4):
            connection.pauseProducing()
            for _ in range(8):
                connection.say(bcp2_server.Presence("b" * 60, "online"))
            connection.resumeProducing()
        await self.until(lambda: len(client.got) == 32 or client.gone)
        self.assertFalse(client.gone)

    async def test_with_the_same_name_and_key_replace_the_older(self) -> None:
        self.serve()
        old = await self.register("alice")
        new = await self.register("alice")
        await old.ended
        self.assertEqual(old.got, [bcp2_server.Replaced()])
        self.assertEqual(await self.ask(new, Ping(3)), PingAck(3))
        self.assertEqual([one.client_id for one in self.side.directory.contacts()], ["alice"])

    async def test_leave_nothing_behind_at_their_end(self) -> None:
        self.serve()
        for number in range(20):
            client = await self.register(f"x{number % 3}")
            if number % 2:
                client.transport.abortConnection()
            else:
                client.transport.loseConnection()
            await client.ended
        await self.empty()
        self.pass_time(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OnePort(Served):
    async def test_serves_plain_text_and_tls(self) -> None:
        self.serve()
        carol = await self.connect()
        carol.send(PLAIN)
        await self.until(lambda: carol.bytes == PLAIN_ACK)
        alice = await self.register("alice")
        answer = await self.ask(alice, bcp2_server.Bridge(2, "carol"))
        self.assertEqual(
            answer, bcp2_server.BridgeAck(2, "carol", addresses=(("127.0.0.1", 3000),))
        )
        answer = await self.ask(alice, bcp2_server.Register(3, "carol", 5000))
        self.assertEqual(answer, Error(409, 3))
        carol.send(PLAIN.replace(b"carol", b"alice"))
        await self.until(lambda: carol.bytes == PLAIN_ACK + refusal(409))

    async def test_with_tls_only_refuses_plain_text_in_one_line(self) -> None:
        self.serve(tls_only=True)
        client = await self.connect()
        client.send(PLAIN)
        await client.ended
        self.assertEqual(client.bytes, refusal(403))
        await self.register("alice")

    async def test_without_a_key_closes_on_tls_and_says_nothing(self) -> None:
        self.serve(keyed=False)
        client = await self.connect()
        client.secure(self.handshake(ONE))
        await client.ended
        self.assertEqual(client.got, [])
