"""The relay on a server's port, over sockets of loopback."""

from __future__ import annotations

from os import urandom
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from chatproto.directory.answers import Directory
from chatproto.net.handshake import Handshake
from chatproto.relay.client import NoRelay, RelayEnd, join
from chatproto.relay.pipe import HELD, Flow
from chatproto.relay.protocol import Relays, with_relay
from chatproto.relay.tickets import new_ticket
from chatproto.server.factory import ChatFactory
from chatproto.stores.memory import MemoryRegistry
from chatproto.wire import bcp2_server
from tests.limits import DEFAULTS, Limits
from tests.server.ends import End, connect
from tests.server.secure_ends import ONE, OTHER, Served


class Option(SynchronousTestCase):
    def test_says_whether_and_how_fast(self) -> None:
        self.assertIs(with_relay(DEFAULTS, "on"), DEFAULTS)
        self.assertIsNone(with_relay(DEFAULTS, "off"))
        for text, rate in (
            ("on:1M", 1024**2),
            ("on:64k", 65536),
            ("on:500", 500),
            ("on:2G", 2**31),
        ):
            self.assertEqual(with_relay(DEFAULTS, text), Limits(relay_rate=float(rate)))

    def test_and_nothing_else(self) -> None:
        for text in ("", "yes", "on:", "on:0", "on:-1", "on:1T", "on:1.5M", "off:1M", "on:\u0661"):
            self.assertRaises(ValueError, with_relay, DEFAULTS, text)


class Ends(Protocol):
    """Record the bytes that come through the relayed stream."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True


@implementer(IHandshakeListener)
class SecureEnds(Ends):
    """The same inside TLS, whose server is `serves`."""

    def __init__(self, handshake: Handshake, serves: bool) -> None:
        super().__init__()
        self.handshake = handshake
        self.ready = False
        self._serves = serves

    def connectionMade(self) -> None:
        # Both have dialled, so the callee turns its role round.
        self.transport.startTLS(self.handshake, not self._serves)

    def handshakeCompleted(self) -> None:
        self.ready = self.handshake.accepted()


class Relayed(Served):
    """A server with a relay."""

    def serve(self, tls_only: bool = False, keyed: bool = True, **limits: float) -> ChatFactory:
        factory = super().serve(tls_only, keyed, **limits)
        self.relay = factory.relay = Relays(self.clock, factory.limits, lambda: new_ticket(urandom))
        self.side.directory.introducer._new_tickets = self.relay.tickets.issue
        return factory

    async def join(self, ticket: str) -> RelayEnd:
        return await join(reactor, "127.0.0.1", self.number, ticket, DEFAULTS)

    async def pipe(self, here: Ends, there: Ends) -> None:
        """The two have met."""
        pair = self.relay.tickets.issue("alice", "call", self.clock.seconds())
        assert pair is not None
        found: list[RelayEnd] = []
        for ticket in pair:
            end: RelayEnd = RelayEnd(ticket, reactor, DEFAULTS)
            client = await self.connect()
            client.transport.protocol = end
            end.makeConnection(client.transport)
            end.piped.addCallback(found.append)
        await self.until(lambda: len(found) == 2)
        for end, heir in zip(found, (here, there), strict=True):
            end.hand_to(heir)


class OverSockets(Relayed):
    async def test_bridge_hands_out_tickets_that_join_the_two(self) -> None:
        self.serve(tls_only=True)
        alice, bob = await self.register("alice", ONE), await self.register("bob", OTHER)
        answer = await self.ask(alice, bcp2_server.Bridge(2, "bob"))
        await self.until(lambda: bool(bob.got))
        push = bob.got[0]
        self.assertRegex(answer.ticket, "^[A-Z2-7]{26}$")
        self.assertRegex(push.ticket, "^[A-Z2-7]{26}$")
        self.assertNotEqual(answer.ticket, push.ticket)
        self.assertEqual((answer.call, answer.relay), (push.call, None))
        waiting = ensureDeferred(self.join(answer.ticket))
        second = await self.join(push.ticket)
        here, there = Ends(), Ends()
        (await waiting).hand_to(here)
        second.hand_to(there)
        here.transport.write(b"hello")
        await self.until(lambda: there.data == b"hello")
        there.transport.loseConnection()
        await self.until(lambda: here.gone and there.gone)
        with self.assertRaises(NoRelay):
            await self.join(answer.ticket)

    async def test_without_a_relay_there_are_no_tickets_and_relay_is_no_method(self) -> None:
        self.serve()
        self.side.directory.introducer._new_tickets = lambda *_: None
        self.factory.relay = None
        alice = await self.register("alice", ONE)
        await self.register("bob", OTHER)
        answer = await self.ask(alice, bcp2_server.Bridge(2, "bob"))
        self.assertEqual((answer.ticket, answer.relay), ("", None))
        stranger = await self.connect()
        stranger.send(b"RELAY\r\nTicket: A\r\n\r\n")
        await self.until(lambda: bool(stranger.bytes))
        self.assertEqual(stranger.bytes, b"ERROR\r\nStatus: 405 method not allowed\r\n\r\n")

    async def test_two_clients_use_tls_through_the_relay(self) -> None:
        self.serve()
        caller = SecureEnds(self.handshake(ONE), False)
        callee = SecureEnds(self.handshake(OTHER), True)
        seen = b""

        def carry(flow: Flow, data: bytes) -> None:
            nonlocal seen
            seen += data
            carried(flow, data)

        carried = Flow.carry
        self.patch(Flow, "carry", carry)
        await self.pipe(caller, callee)
        await self.until(lambda: caller.ready and callee.ready)
        self.assertEqual(caller.handshake.peer_key, OTHER.name)
        self.assertEqual(callee.handshake.peer_key, ONE.name)
        caller.transport.write(b"a secret")
        await self.until(lambda: callee.data == b"a secret")
        callee.transport.write(b"another")
        await self.until(lambda: caller.data == b"another")
        self.assertNotIn(b"secret", seen)
        self.assertGreater(len(seen), 1000)
        caller.transport.loseConnection()
        await self.until(lambda: caller.gone and callee.gone)

    async def test_buffer_for_a_slow_reader_is_small_and_lossless(self) -> None:
        self.serve(relay_rate=0.0, relay_rate_all=0.0)
        here, there = Ends(), Ends()
        await self.pipe(here, there)
        there.transport.pauseProducing()
        sent = bytes(range(256)) * 32768  # 8 MiB: more than the kernel takes
        here.transport.write(sent)
        most = 0
        before = -1
        while before != (before := self.relay.counts.bytes):
            for _ in range(20):
                await self.calm()
                for one in self.factory.spoken:
                    kept = len(one.transport.dataBuffer) + one.transport._tempDataLen
                    most = max(most, kept)
        self.assertLess(self.relay.counts.bytes, len(sent))
        self.assertLessEqual(most, HELD)
        self.assertGreater(most, 0)
        there.transport.resumeProducing()
        await self.until(lambda: len(there.data) == len(sent))
        self.assertEqual(there.data, sent)
        here.transport.loseConnection()
        await self.until(lambda: there.gone)


class Held(End):
    """One that knows whose it is, as a transport does."""

    protocol: Any


class FirstBytes(SynchronousTestCase):
    """In memory: what begins like RELAY and is not it is answered as ever."""

    REGISTER = b"REGISTER\r\nclientID: a\r\nIP: 1.2.3.4\r\nPort: 3000\r\n\r\n"

    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = ChatFactory(self.clock, Directory(MemoryRegistry()))
        self.factory.relay = Relays(self.clock, DEFAULTS, lambda: new_ticket(urandom))
        self.end = Held()
        self.connection: Any = connect(self.factory, self.end)

    def test_register_byte_by_byte(self) -> None:
        for number in range(len(self.REGISTER)):
            self.connection.dataReceived(self.REGISTER[number : number + 1])
        self.assertTrue(self.end.new().startswith(b"REGACK\r\n"))
        self.clock.pump([1.0] * 200)
        self.assertEqual(self.end.new(), b"")
        self.assertFalse(self.end.half_closed)

    def test_relay_byte_by_byte(self) -> None:
        self.end.protocol = self.connection
        for byte in b"RELAY\r\nTicket: A\r\n\r\n":
            self.end.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.end.new(), b"ERROR\r\nStatus: 403 refused\r\n\r\n")
        self.assertEqual(len(self.factory), 1)

    def test_two_letters_and_silence_or_the_end(self) -> None:
        self.connection.dataReceived(b"RE")
        self.clock.pump([1.0] * 31)
        self.assertIn(b"408", self.end.new())
        end = End()
        connection = connect(self.factory, end)
        connection.dataReceived(b"RE")
        connection.readConnectionLost()
        self.assertIn(b"400", end.new())
        self.assertTrue(end.disconnecting)

    def test_plain_text_is_refused_with_tls_only(self) -> None:
        self.factory.tls_only = True
        for parts in ([b"R", b"EGISTER\r\n"], [b"REGISTER\r\n"], [b"RELAX"]):
            end = End()
            connection = connect(self.factory, end)
            for part in parts:
                connection.dataReceived(part)
            self.assertIn(b"403", end.new(), parts)

    def test_client_waiting_for_a_pipe_does_not_time_out(self) -> None:
        assert self.factory.relay is not None
        pair = self.factory.relay.tickets.issue("alice", "call", 0.0)
        assert pair is not None
        self.connection.dataReceived(f"RELAY\r\nTicket: {pair[0]}\r\n\r\n".encode())
        self.factory.most = 1
        stranger = End()
        connect(self.factory, stranger)
        self.assertIn(b"503", stranger.new())
        self.assertFalse(self.end.aborted)
