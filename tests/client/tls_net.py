"""Real TLS on connections in memory, and far ends with keys of their own that say what a test wants."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.identity.keys import Identity
from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address, Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Msg, MsgAck, Quit
from chatproto.wire.classic import Sender
from chatproto.wire.plain_blocks import Punch
from chatproto.wire.strict import encode
from tests.identity.ends import Stranger
from tests.limits import DEFAULTS
from tests.net import Net, Wire, joined

DATE = "2026-01-02T03:04:05.678Z"
AT = 1767323045.678
"""The same moment, in seconds since 1970."""
STEP = 0.05
"""Seconds between two exchanges of bytes while time passes."""


class TlsWire(Wire):
    """One connection as the program sees it: plain until `startTLS`, then Twisted's TLS over it."""

    def __init__(self, host: str, port: int, net: TlsNet, client: bool) -> None:
        super().__init__(host, port)
        self._net = net
        self._client = client
        self._layer: Any = None

    def startTLS(self, context: Any, normal: bool = True) -> None:
        producer, self.producer = self.producer, None
        client = self._client is normal
        factory = TLSMemoryBIOFactory(context, client, Factory(), self._net)
        self._layer = layer = factory.protocol(factory, self.protocol, False)
        self.protocol = layer
        layer.makeConnection(_Beneath(self))
        if producer is not None:
            layer.registerProducer(producer, True)

    def write(self, data: bytes) -> None:
        if self._layer is not None:
            self._layer.write(data)
        else:
            super().write(data)

    def writeSequence(self, data: Any) -> None:
        if self._layer is not None:
            self._layer.writeSequence(data)
        else:
            self.write(b"".join(data))

    def write_beneath(self, data: bytes) -> None:
        """Write bytes of TLS itself."""
        super().write(data)

    def loseConnection(self) -> None:
        if self._layer is not None:
            self._layer.loseConnection()
        else:
            super().loseConnection()

    def lose_beneath(self) -> None:
        """Close the connection under TLS."""
        super().loseConnection()

    def abortConnection(self) -> None:
        self.aborted = self.disconnecting = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._layer is not None:
            self._layer.registerProducer(producer, streaming)
        else:
            super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self._layer is not None:
            self._layer.unregisterProducer()
        else:
            super().unregisterProducer()


class _Beneath:
    """The transport that TLS writes to."""

    def __init__(self, wire: TlsWire) -> None:
        self.write = wire.write_beneath
        self.loseConnection = wire.lose_beneath
        self._wire = wire

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._wire.producer = producer
        self._wire.streaming = streaming

    def unregisterProducer(self) -> None:
        self._wire.producer = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)


@implementer(IHostnameResolver)
class Literals:
    """Resolves hosts that are addresses already."""

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *_: Any) -> Any:
        receiver.resolutionBegan(self)
        receiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        receiver.resolutionComplete()
        return self


class TlsNet(Net):
    """A network in memory whose connections can begin TLS; bytes move in `settle` and `wait`."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = Literals()
        self.ends: list[Far] = []

    @property
    def under_way(self) -> int:
        """Number of connections asked for and neither made nor given up."""
        waiting = self.connectors[self.answered :]
        return sum(not one.stoppedConnecting for one in waiting)

    def accept(self) -> TlsWire:
        """The next connection that was asked for comes about."""
        host, port, factory, _, _ = self.tcpClients[self.answered]
        self.answered += 1
        wire = TlsWire(host, port, self, client=True)
        joined(factory.buildProtocol(IPv4Address("TCP", host, port)), wire)
        return wire

    def arrive(self, factory: PlainPeerFactory, host: str, port: int = 40000) -> TlsWire:
        """Connect to `factory` from `host:port`."""
        wire = TlsWire(host, port, self, client=False)
        joined(factory.buildProtocol(None), wire)
        return wire

    def settle(self) -> None:
        """Carry bytes until all ends are silent; let no time pass."""
        moved = True
        while moved:
            self.advance(0)
            moved = sum(end.pump() for end in tuple(self.ends)) > 0

    def wait(self, seconds: float, step: float = STEP) -> None:
        end = self.seconds() + seconds
        self.settle()
        while self.seconds() < end - 1e-9:
            self.advance(min(step, end - self.seconds()))
            self.settle()


class Far:
    """The far end of one connection, inside real TLS with the key of `identity`.

    `client`: its side of TLS. What it hears stands in `messages`; `hear` may answer.
    """

    sender = Sender.PEER

    def __init__(
        self, net: TlsNet, wire: TlsWire, identity: Identity, *, client: bool, first: bytes = b""
    ) -> None:
        self.net, self.wire, self.identity = net, wire, identity
        self.messages: list[Any] = []
        self.plain = b""  # what the program said before TLS
        self.deaf = False  # reads nothing
        self.gone = False  # closes once all is said
        self._stranger = Stranger.of(client, identity)
        self._decoder = StrictReceiver(self.sender, DEFAULTS)
        self._client = client
        self._out = bytearray()
        self._begun = False
        net.ends.append(self)
        if first:
            wire.says(first)

    @property
    def ended(self) -> bool:
        """True after the connection has ended."""
        return self.wire.ended

    @property
    def refused(self) -> bool:
        """True if TLS failed, which is how a key is refused."""
        return self._stranger.error is not None

    def tell(self, *messages: Bcp2Message) -> None:
        """Say `messages`, as soon as TLS stands."""
        self._out += b"".join(map(encode, messages))
        self.net.settle()

    def heard(self, kind: type[Any]) -> list[Any]:
        """The messages of one kind."""
        return [one for one in self.messages if isinstance(one, kind)]

    def cut(self) -> None:
        """The connection breaks."""
        self.wire.ends(True)
        self.net.settle()

    def pump(self) -> bool:
        """Carry what there is, both ways; return whether there was anything."""
        if self.wire.ended:
            return False
        if self.deaf:
            return False
        moved = self._read_wire()
        moved = self._write_wire() or moved
        if (self.wire.aborted or self.wire.disconnecting or self.gone) and not moved:
            self.wire.ends(self.wire.aborted)
            return True
        return moved

    def hear(self, message: Any) -> None:
        """Do what this end does by itself on `message`."""

    def _read_wire(self) -> bool:
        data = self.wire.new()
        if not data:
            return False
        if not self._begun:
            self.plain += data
            data = self._tls_of(self.plain)
            self._begun = bool(data)
        if data:
            self._stranger.connection.bio_write(data)
        self._take()
        return True

    def _tls_of(self, data: bytes) -> bytes:
        """Return the bytes after the plain blocks that may precede TLS."""
        while data.startswith(b"PUNCH"):
            _, end, data = data.partition(b"\r\n\r\n")
            if not end:
                return b""
        return data

    def _take(self) -> None:
        try:
            while data := self._stranger.connection.recv(1 << 16):
                for message in self._decoder.read(data):
                    self.messages.append(message)
                    self.hear(message)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.gone = True
        except SSL.Error as error:
            self._stranger.error = error

    def _write_wire(self) -> bool:
        data = self._stranger.take()
        if self._out and self._stranger.error is None:
            try:
                sent = self._stranger.connection.send(bytes(self._out))
                del self._out[:sent]
            except SSL.Error:
                pass  # the handshake is not done
            data += self._stranger.take()
        if data and not self.wire.ended:
            self.wire.says(data)
        return bool(data)


class FarPerson(Far):
    """Peer that accepts calls and acknowledges messages, unless a test says otherwise."""

    def __init__(
        self,
        net: TlsNet,
        wire: TlsWire,
        identity: Identity,
        name: str,
        *,
        client: bool,
        first: bytes = b"",
        takes: bool = True,
        acknowledges: bool = True,
    ) -> None:
        super().__init__(net, wire, identity, client=client, first=first)
        self.name = name
        self.takes = takes
        self.acknowledges = acknowledges
        self.stream, self.told = "b" * 16, 0
        self.texts: list[str] = []
        self.have: tuple[str, int] = ("", 0)
        self.left = False  # the program has said QUIT

    @property
    def over(self) -> bool:
        """True if the program has sent QUIT, or the connection has ended."""
        return self.left or self.ended

    def calls(self) -> None:
        """Say CHAT."""
        self.tell(Chat(self.name, "full", self.stream, self.have))

    def says(self, *texts: str) -> None:
        """Say messages."""
        for text in texts:
            self.told += 1
            self.tell(Msg(self.told, AT, text))

    def takes_call(self) -> None:
        """Say CHATACK."""
        self.tell(ChatAck(self.name, "full", self.stream, self.have))

    def leaves(self) -> None:
        """Say QUIT and close."""
        self.tell(Quit())
        self.cut()

    def hear(self, message: Any) -> None:
        match message:
            case Chat(_, _, stream):
                self._meets(stream)
                if self.takes:
                    self._say(ChatAck(self.name, "full", self.stream, self.have))
            case ChatAck(_, _, stream):
                self._meets(stream)
            case Msg(id, _, text):
                if id > self.have[1]:
                    self.texts.append(text)
                    self.have = self.have[0], id
                if self.acknowledges:
                    self._say(MsgAck(self.have[1]))
            case Ping():
                self._say(PingAck())
            case Quit():
                self.left = True
                self.gone = True

    def _meets(self, stream: str) -> None:
        if self.have[0] != stream:
            self.have = stream, 0

    def _say(self, message: Bcp2Message) -> None:
        self._out += encode(message)


class FarServer(Far):
    """A server that answers with whom the test puts into `callees`; it believes whatever it is told."""

    sender = Sender.CLIENT

    def __init__(self, net: TlsNet, wire: TlsWire, identity: Identity) -> None:
        self.callees: dict[str, bcp2_server.BridgeAck | int] = {}
        super().__init__(net, wire, identity, client=False)

    def introduces(self, name: str, key: str, addresses: tuple[Address, ...], call: str) -> None:
        """Push an INTRODUCE."""
        self.tell(bcp2_server.Introduce(name, key, addresses, call))

    def knows(
        self, name: str, key: str, *addresses: Address, call: str = "", also: str = ""
    ) -> None:
        """Answer BRIDGE for `name` with `key` at `addresses`; `also`: under that id instead."""
        self.callees[name] = bcp2_server.BridgeAck(0, also or name, key, addresses, call)

    def hear(self, message: Any) -> None:
        match message:
            case bcp2_server.Register():
                where = "10.0.0.1", 40001
                self._say(bcp2_server.RegAck(message.cseq, message.client_id, 3600, where))
            case bcp2_server.Bridge():
                found = self.callees.get(message.peer_id, 404)
                if isinstance(found, int):
                    self._say(Error(found, message.cseq))
                else:
                    fields = found.client_id, found.key, found.addresses, found.call
                    self._say(bcp2_server.BridgeAck(message.cseq, *fields))
            case bcp2_server.Watch():
                self._say(bcp2_server.WatchAck(message.cseq, message.peer_id))
            case bcp2_server.Unwatch():
                self._say(bcp2_server.UnwatchAck(message.cseq, message.peer_id))
            case bcp2_server.Info():
                self._say(bcp2_server.InfoAck(message.cseq))
            case Ping(cseq):
                self._say(PingAck(cseq))

    def _say(self, message: Bcp2Message) -> None:
        self._out += encode(message)


def punch(call: str) -> bytes:
    """The block by which a connection names its introduction."""
    return encode(Punch(call))
