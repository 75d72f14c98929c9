"""A server with a key on a real port of loopback, whose clock the test turns, and clients of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import ClientCreator, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from chatproto.directory.answers import Directory
from chatproto.directory.keyed import KeyedDirectory
from chatproto.identity.keys import Identity, new_identity
from chatproto.identity.tls import Tls
from chatproto.net.handshake import Handshake
from chatproto.net.receivers import StrictReceiver
from chatproto.server.factory import ChatFactory
from chatproto.server.listening import ListenSpec
from chatproto.server.secure_side import SecureSide
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire import bcp2_server
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.strict import encode
from tests.limits import Limits

LOOPBACK = "tcp:0:interface=127.0.0.1"
ONE, OTHER, SERVER = new_identity(), new_identity(), new_identity()


@implementer(IHandshakeListener)
class Client(Protocol):
    """Client that speaks BCP/2, or anything else."""

    transport: Any

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.bytes = b""
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.gone = False
        self._decoder: StrictReceiver | None = None

    def secure(self, creator: Any) -> None:
        """Begin TLS."""
        self._decoder = StrictReceiver(Sender.SERVER)
        self.transport.startTLS(creator, True)

    def handshakeCompleted(self) -> None:
        self.ready.callback(None)

    def send(self, *messages: Any) -> None:
        """Messages or bytes, all in one write."""
        self.transport.write(
            b"".join(one if isinstance(one, bytes) else encode(one) for one in messages)
        )

    def dataReceived(self, data: bytes) -> None:
        self.bytes += data
        if self._decoder is not None:
            found = self._decoder.read(data)
            assert not any(isinstance(one, RemoteError) for one in found), found
            self.got += found

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True
        self.ended.callback(None)
        if not self.ready.called:
            self.ready.callback(None)


class Served(TestCase):
    """A port with a key; `clock` is its clock, and stands still unless it is turned."""

    timeout = 30

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.said: list[str] = []

    def serve(self, tls_only: bool = False, keyed: bool = True, **limits: float) -> ChatFactory:
        values = Limits(**limits)  # type: ignore[arg-type]
        registry, names = MemoryRegistry(values), MemoryNames()
        self.calls = 0
        self.side = SecureSide(
            Tls(SERVER, values),
            KeyedDirectory(names, registry, self.new_call, values),
            WorkQueue(self.clock),
        )
        directory = Directory(registry, values, names)
        self.factory = ChatFactory(self.clock, directory, values, say=self.said.append)
        self.factory.secure = self.side if keyed else None
        self.factory.tls_only = tls_only
        found: list[Any] = []
        ListenSpec(reactor, LOOPBACK).listen(self.factory).addCallback(found.extend)
        self.number = found[0].getHost().port
        self.addCleanup(self.factory.rest)
        self.addCleanup(self.empty)
        self.addCleanup(self.factory.close_all, abort=True)
        self.addCleanup(found[0].stopListening)
        return self.factory

    def new_call(self) -> str:
        self.calls += 1
        return f"call{self.calls}"

    async def empty(self) -> None:
        """Check that nothing is left of connections that have ended."""
        await self.until(lambda: not len(self.factory))
        self.assertEqual(self.side.connections, {})
        self.assertEqual(len(self.factory.wheel), 0)

    async def connect(self) -> Client:
        """Connect without sending anything."""
        client: Client = await ClientCreator(reactor, Client).connectTCP("127.0.0.1", self.number)
        self.addCleanup(client.transport.abortConnection)
        return client

    def handshake(self, identity: Identity) -> Handshake:
        return Tls(identity).handshake(lambda key: None)

    async def come(
        self,
        identity: Identity = ONE,
        creator: IOpenSSLClientConnectionCreator | None = None,
    ) -> Client:
        """Connect with TLS; return when the server knows the connection."""
        client = await self.connect()
        port = client.transport.getHost().port
        client.secure(creator or self.handshake(identity))
        await client.ready
        await self.until(lambda: client.gone or port in {one.port for one in self.side.connections})
        return client

    async def register(self, client_id: str, identity: Identity = ONE) -> Client:
        client = await self.come(identity)
        answer = await self.ask(client, bcp2_server.Register(1, client_id, 5000))
        self.assertIsInstance(answer, bcp2_server.RegAck)
        client.got.clear()
        return client

    async def ask(self, client: Client, *messages: Any) -> Any:
        """The last answer to `messages`, of which each has one."""
        count = len(client.got) + len(messages)
        client.send(*messages)
        await self.until(lambda: len(client.got) >= count or client.gone)
        return client.got[-1]

    async def until(self, true: Callable[[], bool]) -> None:
        """Let the sockets do their work."""
        while not true():
            await deferLater(reactor, 0.001)

    async def calm(self) -> None:
        """Let what is on its way arrive."""
        for _ in range(20):
            await deferLater(reactor, 0.001)

    def pass_time(self, seconds: float) -> None:
        """Turn the clock, in steps as the server's wheel takes them."""
        self.clock.pump([0.5] * round(seconds / 0.5))
