"""A server and a peer who speak the protocol and lie; a seed says how.

Both are programs of their own on the simulated network, with keys of their own. They use the wire
format and nothing else of the programs under test.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Protocol, cast

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import ClientFactory, Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address, Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.plain_blocks import Punch
from chatproto.wire.strict import encode
from tests.limits import Limits
from tests.simulation.channel import SimTls
from tests.simulation.network import SimNetwork
from tests.simulation.reactor import SimReactor

DATE = "2026-01-02T03:04:05.678Z"
AT = 1767323045.678
"""The same moment, in seconds since 1970."""
TLS = 0x16
"""The first byte of TLS."""
LATER = 3.0
"""Seconds within which the liar says something that it does not say at once."""
FLOOD = 12
"""Pushes of one flood: more than may ring, and few enough for a short run."""
MOST_ANSWERS = 30
"""Blocks that one connection of the liar answers: then it is silent."""


class Told(Protocol):
    """Receiver of what happens on a liar's connection."""

    def connection_up(self, connection: LiarLink) -> None: ...
    def connection_heard(self, connection: LiarLink, message: Any) -> None: ...
    def connection_down(self, connection: LiarLink) -> None: ...


@implementer(IHandshakeListener)
class LiarLink(TwistedProtocol):
    """One connection of a liar, which begins TLS as it is told or as the other side begins.

    `first`: what goes out before TLS. `dials`: whether we made it; `tls`: whether we begin TLS by
    ourselves (True: as its client, False: as its server, None: when they do).
    """

    transport: Any = None

    def __init__(
        self,
        owner: Told,
        key: str,
        sender: Sender,
        limits: Limits,
        *,
        first: bytes = b"",
        tls: bool | None = None,
    ) -> None:
        self.owner, self.key = owner, key
        self.up = self.gone = self.plain = False
        self.peer_key: str | None = None
        self.call = ""  # the introduction that they named
        self.about: Any = None  # what the owner made it for
        self.answers = 0
        self._handshake = SimTls(key).handshake(lambda shown: None)
        self._decoder = StrictReceiver(sender, limits)
        self._first, self._tls = first, tls
        self._begun = False
        self._read = b""

    def connectionMade(self) -> None:
        if self._first:
            self.transport.write(self._first)
        if self._tls is not None:
            self._begin(self._tls)

    def _begin(self, client: bool) -> None:
        self._begun = True
        # `normal`: the client of TCP is the client of TLS.
        self.transport.startTLS(self._handshake, client is self.transport._client)

    def handshakeCompleted(self) -> None:
        if not self._handshake.accepted():
            self.transport.abortConnection()
            return
        self.up, self.peer_key = True, self._handshake.peer_key
        self.owner.connection_up(self)

    def dataReceived(self, data: bytes) -> None:
        if self.plain:
            self._read_plainly(data)
            return
        if self._begun:
            for message in self._decoder.read(data):
                if not isinstance(message, RemoteError) and not self.gone:
                    self.owner.connection_heard(self, message)
            return
        self._read += data
        if self._read.startswith(b"PUNCH\r\n"):
            head, end, rest = self._read.partition(b"\r\n\r\n")
            if not end:
                return
            self.call = head.rpartition(b": ")[2].decode()
            self._read = rest
            self.owner.connection_heard(self, Punch(self.call))
        if self._read and self._read[0] == TLS and not self._begun and not self.gone:
            read, self._read = self._read, b""
            self._begin(False)
            self.transport.protocol.dataReceived(read)
        elif self._read and not b"PUNCH\r\n".startswith(self._read[:7]):
            self.plain = True
            read, self._read = self._read, b""
            self._read_plainly(read)

    def _read_plainly(self, data: bytes) -> None:
        """Tell whole lines only: a text that comes in two pieces is one."""
        lines, end, self._read = (self._read + data).rpartition(b"\n")
        if end and not self.gone:
            self.owner.connection_heard(self, lines + end)

    def begin_tls(self, client: bool) -> None:
        """Begin TLS now, as its client or as its server."""
        if not self._begun and not self.gone:
            read, self._read = self._read, b""
            self._begin(client)
            if read:
                self.transport.protocol.dataReceived(read)

    def say(self, *messages: Bcp2Message) -> None:
        """Say `messages` inside TLS."""
        if self.up and not self.gone:
            self.transport.write(b"".join(map(encode, messages)))

    def say_plainly(self, text: str) -> None:
        """Say `text` in plain text."""
        if self.transport is not None and not self.gone:
            self.transport.write(f"{text}\r\n".encode())

    def cut(self, kindly: bool) -> None:
        """End the connection."""
        if self.transport is not None and not self.gone:
            self.transport.loseConnection() if kindly else self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True
        self.owner.connection_down(self)


class _Dial(ClientFactory):
    """Makes one connection."""

    noisy = False

    def __init__(self, connection: LiarLink) -> None:
        self._connection = connection

    def buildProtocol(self, addr: Any) -> LiarLink:
        return self._connection


class _Port(Factory):
    """Makes a connection for each connection."""

    noisy = False

    def __init__(self, make: Callable[[], LiarLink]) -> None:
        self._make = make

    def buildProtocol(self, addr: Any) -> LiarLink:
        return self._make()


class Truth(Protocol):
    """Facts about the world that the liars know: more than they should."""

    limits: Limits

    def addresses(self) -> dict[str, Address]:
        """Addresses on which the programs listen, by id."""

    def key_of(self, name: str) -> str:
        """The real key of somebody."""

    def liar_heard(self, key: str | None, data: str) -> None:
        """A liar read a text inside TLS with `key`, or in plain text."""

    def liar_says(self, victim: str, key: str | None) -> str:
        """A new text of a liar with `key`, to `victim`."""


class LyingServer:
    """A server that answers with other ids, keys and addresses, introduces strangers, and floods.

    `lies`: from 0 to 1, how often an answer is not the right one.
    """

    def __init__(
        self,
        network: SimNetwork,
        host: str,
        port: int,
        key: str,
        truth: Truth,
        liar: LyingPeer,
        random: Random,
    ) -> None:
        self.host, self.port, self.key = host, port, key
        self.lies = 0.5
        self.told: dict[str, set[str]] = {}
        """By id, the keys that it has answered with to a question for that very id."""
        self._network, self._truth, self._liar, self._random = network, truth, liar, random
        self._connections: dict[LiarLink, str] = {}  # under which id they are registered
        self._addresses: dict[str, tuple[Address, ...]] = {}
        self._calls = 0
        self._reactor: SimReactor | None = None

    def start(self) -> None:
        """Listen."""
        if self._reactor is None:
            self._reactor = SimReactor(self._network, self.host, "liarsserver")
            self._reactor.listenTCP(self.port, _Port(self._new_connection))

    def kill(self) -> None:
        """Be gone at once; nobody is remembered."""
        if self._reactor is not None:
            self._reactor.kill()
            self._reactor = None
            self._connections.clear()

    def change_key(self, key: str) -> None:
        """Show another key from now on."""
        self.kill()
        self.key = key
        self.start()

    # What connections tell.

    def connection_up(self, connection: LiarLink) -> None:
        self._connections[connection] = ""

    def connection_down(self, connection: LiarLink) -> None:
        self._connections.pop(connection, None)

    def connection_heard(self, connection: LiarLink, message: Any) -> None:
        random = self._random
        match message:
            case bcp2_server.Register(cseq, client_id, _, addresses):
                self._connections[connection] = client_id
                where = connection.transport.peer
                self._addresses[client_id] = tuple(addresses) or (where,)
                connection.say(bcp2_server.RegAck(cseq, client_id, 60, where))
            case bcp2_server.Bridge(cseq, peer):
                self._bridge(connection, cseq, peer)
            case bcp2_server.Watch(cseq, peer):
                connection.say(bcp2_server.WatchAck(cseq, peer))
                if random.random() < 0.8:
                    connection.say(
                        bcp2_server.Presence(peer, random.choice(("online", "online", "offline")))
                    )
            case bcp2_server.Unwatch(cseq, peer):
                connection.say(bcp2_server.UnwatchAck(cseq, peer))
            case bcp2_server.Info(cseq):
                connection.say(bcp2_server.InfoAck(cseq))
            case bcp2_server.Observe(cseq):
                connection.say(bcp2_server.ObserveAck(cseq, connection.transport.peer, DATE))
            case Ping(cseq):
                connection.say(PingAck(cseq))
            case PingAck():
                pass
            case _ if getattr(message, "cseq", None) is not None:
                connection.say(Error(500, message.cseq))

    # What it does unasked.

    def push(self) -> None:
        """Push something untrue to somebody."""
        connections = sorted(
            (one for one in self._connections if self._connections[one]),
            key=self._connections.__getitem__,
        )
        if not connections:
            return
        random = self._random
        connection, name = (
            random.choice(connections),
            random.choice(sorted(self._truth.addresses())),
        )
        match random.randrange(5):
            case 0:
                connection.say(bcp2_server.Presence(name, random.choice(("online", "offline"))))
            case 1:
                connection.say(self._introduction(name))
            case 2:
                connection.say(*(self._introduction(name) for _ in range(FLOOD)))
            case 3:
                connection.say(
                    bcp2_server.BridgeAck(10**6, name, self._some_key(), self._some_addresses())
                )
            case 4:
                connection.say(bcp2_server.Closing(1))

    def _introduction(self, name: str) -> bcp2_server.Introduce:
        return bcp2_server.Introduce(
            name, self._some_key(), self._some_addresses(), self._new_call(), "T" * 26
        )

    def _new_call(self) -> str:
        self._calls += 1
        return f"f{self._calls:015x}"

    def _some_key(self) -> str:
        names = sorted(self._truth.addresses())
        liars = self._liar.keys
        keys = [*liars, *liars, *(self._truth.key_of(name) for name in names)]
        return self._random.choice(keys)

    def _some_addresses(self) -> tuple[Address, ...]:
        everywhere = [self._liar.address, *self._truth.addresses().values()]
        return tuple(self._random.sample(everywhere, self._random.randint(1, 2)))

    def _bridge(self, connection: LiarLink, cseq: int, peer: str) -> None:
        random = self._random
        known = self._truth.addresses()
        name = peer or random.choice(sorted(known))
        key = self._truth.key_of(name) if name in known else self._liar.keys[0]
        where = self._addresses.get(name) or ((known[name],) if name in known else ())
        call = self._new_call()
        if random.random() < self.lies:
            match random.randrange(7):
                case 0:  # another's key and place under the right id
                    key, where = self._some_key(), self._some_addresses()
                case 1:  # somebody else altogether
                    name = random.choice(sorted(known))
                    key, where = self._some_key(), self._some_addresses()
                case 2:  # the right key elsewhere
                    where = self._some_addresses()
                case 3:  # no key: to be called in plain text
                    key, where, call = "", self._some_addresses(), ""
                case 4:
                    connection.say(Error(random.choice((404, 480, 503)), cseq))
                    return
                case 5:  # no answer at all
                    return
                case 6:  # twice, and different
                    self._answer(
                        connection, peer, bcp2_server.BridgeAck(cseq, name, key, where, call)
                    )
                    key, where = self._some_key(), self._some_addresses()
        self._answer(connection, peer, bcp2_server.BridgeAck(cseq, name, key, where, call))
        asker = self._connections.get(connection, "")
        callee = next((one for one, id in self._connections.items() if id == name), None)
        if callee is not None and asker and call:
            from_key = connection.peer_key or self._some_key()
            callee.say(bcp2_server.Introduce(asker, from_key, self._addresses.get(asker, ()), call))

    def _answer(self, connection: LiarLink, asked: str, answer: bcp2_server.BridgeAck) -> None:
        if answer.client_id == asked:
            self.told.setdefault(asked, set()).add(answer.key)
        connection.say(answer)

    def _new_connection(self) -> LiarLink:
        return LiarLink(self, self.key, Sender.CLIENT, self._truth.limits)


class LyingPeer:
    """Peer with two keys that claims the ids of others at any moment."""

    def __init__(
        self,
        network: SimNetwork,
        host: str,
        port: int,
        keys: tuple[str, str],
        truth: Truth,
        random: Random,
    ) -> None:
        self.address = host, port
        self.keys = keys
        self._truth, self._random = truth, random
        self._reactor = SimReactor(network, host, "mal")
        self._connections: list[LiarLink] = []
        self._at_server: LiarLink | None = None
        self._asked: dict[int, str] = {}
        self._cseq = 0
        self.quiet = False

    def start(self, server: Address) -> None:
        """Listen, and register as `mal` with the honest server."""
        self._reactor.listenTCP(
            self.address[1], _Port(lambda: self._new_connection(self._random.choice(self.keys)))
        )
        self.register(server)

    def register(self, server: Address) -> None:
        """Connect to a server, whatever became of the last connection."""
        if self._at_server is None or self._at_server.gone:
            connection = LiarLink(self, self.keys[0], Sender.SERVER, self._truth.limits, tls=True)
            connection.about = "server"
            self._at_server = connection
            self._connect(server, connection)

    def leave(self) -> None:
        """End the program: every connection breaks, and nobody is reached any more."""
        self.quiet = True
        self._reactor.kill()

    # What a seed has it do.

    def call(self, victim: str) -> None:
        """Call somebody inside TLS, under any id, without an introduction."""
        connection = self._new_connection(self._random.choice(self.keys), tls=True)
        connection.about = victim
        self._connect(self._truth.addresses()[victim], connection)

    def call_plainly(self, victim: str) -> None:
        """Call somebody in plain text, under any id."""
        claim = self._claim(victim)
        text = self._truth.liar_says(victim, None)
        head = (
            f"CHAT\r\nclientID: {claim}\r\nIP: {self.address[0]}\r\nPort: {self.address[1]}\r\n\r\n"
        )
        first = head.encode() if self._random.random() < 0.8 else b""
        connection = self._new_connection(self.keys[0], first=first)
        connection.about = victim
        self._connect(self._truth.addresses()[victim], connection)
        self._later(lambda: connection.say_plainly(text))

    def bridge(self, victim: str) -> None:
        """Have the honest server introduce us, and call as somebody else."""
        connection = self._at_server
        if connection is not None and connection.up and not connection.gone:
            self._cseq += 1
            self._asked[self._cseq] = victim
            connection.say(bcp2_server.Bridge(self._cseq, victim))

    def bother(self) -> None:
        """Say or do something on one of the connections."""
        self._connections = [connection for connection in self._connections if not connection.gone]
        if self._connections:
            self._act(self._random.choice(self._connections))

    # What connections tell.

    def connection_up(self, connection: LiarLink) -> None:
        if connection is self._at_server:
            self._cseq += 1
            host, port = self.address
            connection.say(bcp2_server.Register(self._cseq, "mal", port, ((host, port),)))
        elif isinstance(connection.about, str) and self._random.random() < 0.9:
            self._say_chat(connection)

    def connection_down(self, connection: LiarLink) -> None:
        """A connection is gone; `bother` forgets it."""

    def connection_heard(self, connection: LiarLink, message: Any) -> None:
        if connection is self._at_server:
            self._server_said(connection, message)
            return
        random = self._random
        connection.answers += 1
        match message:
            case bytes():
                self._truth.liar_heard(None, message.decode(errors="replace"))
                if random.random() < 0.3:
                    connection.say_plainly(self._truth.liar_says("", None))
                return
            case Punch():
                connection.begin_tls(random.random() < 0.5)
                return
            case Msg(id, _, text):
                self._truth.liar_heard(connection.key, text)
                if random.random() < 0.7:
                    connection.say(MsgAck(id))
                return
            case Ping():
                if random.random() < 0.8:
                    connection.say(PingAck())
                return
        if self.quiet or connection.answers > MOST_ANSWERS:
            return
        match message:
            case Chat(client_id):
                self._take(connection, client_id)
            case ChatAck(client_id):
                connection.say(Msg(1, AT, self._truth.liar_says(client_id, connection.key)))
            case _ if random.random() < 0.2:
                self._act(connection)

    # How it follows.

    def _server_said(self, connection: LiarLink, message: Any) -> None:
        match message:
            case bcp2_server.BridgeAck(cseq, _, key, addresses, call) if cseq in self._asked:
                victim = self._asked.pop(cseq)
                if addresses and call:
                    # The smaller key's owner is the server of TLS, whoever dialled.
                    client = not self.keys[0] < key
                    made = self._new_connection(self.keys[0], first=encode(Punch(call)), tls=client)
                    made.about = victim
                    self._connect(addresses[0], made)
            case Ping(cseq):
                connection.say(PingAck(cseq))

    def _take(self, connection: LiarLink, caller: str) -> None:
        """Answer a call in one way or another."""
        random = self._random
        match random.randrange(8):
            case 0:
                connection.say(Error(random.choice((403, 480, 486, 603)), about="CHAT"))
            case 1:
                pass
            case 2:
                connection.say(Msg(1, AT, self._truth.liar_says(caller, connection.key)))
            case 3:
                connection.cut(random.random() < 0.5)
            case _:
                name = random.choice(sorted(self._truth.addresses()))
                ack = ChatAck(name, random.choice(("full", "half")), "e" * 16)
                connection.say(*[ack] * random.choice((1, 1, 2)))
                connection.say(Msg(1, AT, self._truth.liar_says(caller, connection.key)))

    def _act(self, connection: LiarLink) -> None:
        random = self._random
        victim = connection.about if isinstance(connection.about, str) else ""
        match random.randrange(9):
            case 0:
                self._say_chat(connection)
            case 1:
                connection.say(MsgAck(random.choice((1, 2, 2**40))))
            case 2:
                connection.say(Turn(random.randint(1, 5)))
            case 3:
                connection.say(Mode(random.randint(1, 5), random.choice(("half", "full"))))
            case 4:
                connection.say(Quit())
            case 5:
                connection.cut(random.random() < 0.5)
            case 6:
                connection.say(ChatAck(self._claim(victim), "full", "e" * 16))
            case _:
                text = self._truth.liar_says(victim, connection.key)
                connection.say(*[Msg(random.randint(1, 9), AT, text)] * random.choice((1, 1, 2)))

    def _say_chat(self, connection: LiarLink) -> None:
        victim = connection.about if isinstance(connection.about, str) else ""
        connection.say(Chat(self._claim(victim), "full", self._random.choice(("e" * 16, "d" * 16))))

    def _claim(self, victim: str) -> str:
        """Choose an id to claim: of anybody but the victim, or our own."""
        names = [name for name in sorted(self._truth.addresses()) if name != victim]
        return self._random.choice([*names, *names, "mal"])

    def _later(self, what: Callable[[], Any]) -> None:
        self._reactor.callLater(LATER * self._random.random(), what)

    def _connect(self, where: Address, connection: LiarLink) -> None:
        self._reactor.connectTCP(*where, _Dial(connection), 6.0)

    def _new_connection(self, key: str, **how: Any) -> LiarLink:
        connection = LiarLink(self, key, Sender.PEER, cast(Any, self._truth).limits, **how)
        self._connections.append(connection)
        return connection
