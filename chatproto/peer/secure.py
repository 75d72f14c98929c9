"""A link inside TLS: BCP/2 between two people on one connection. It moves bytes and owns its timers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.peer.before_tls import BeforeTls, punch_first
from chatproto.peer.beneath import start_tls
from chatproto.peer.effects import Opening
from chatproto.peer.keepalive import Keepalive
from chatproto.peer.ledger import MSG, Entry, LedgerTrouble
from chatproto.peer.link_news import (
    Answered,
    Arrived,
    Called,
    News,
    Told,
    message_of,
    news_of,
    told,
)
from chatproto.peer.timers import Timers
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_files import Data
from chatproto.wire.bcp2_peer import Chat, ChatAck, MsgAck, Quit
from chatproto.wire.dialects import Me
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import Limits
from chatproto.wire.messages import Sender
from chatproto.wire.strict import StrictDecoder, encode, encode_apart


class SecureOwner(Protocol):
    """Who is told what happens on a secure link."""

    def secure_made(self, link: SecureLink) -> None:
        """TLS stands, as far as this side can tell; `link.key` is theirs."""

    def secure_heard(self, link: SecureLink, news: News) -> None:
        """They said this."""

    def secure_spoke(self, link: SecureLink, entry: Entry) -> bool:
        """Our entry is written now, unless it was taken back. Raises LedgerTrouble: then it is not."""

    def secure_lost(self, link: SecureLink, reason: str) -> None:
        """The connection is gone."""


class Handshake(Protocol):
    """What TLS found out: `identity.tls.Handshake`."""

    peer_key: str | None

    def accepted(self) -> bool: ...
    def trouble(self, reason: Failure) -> str: ...


@implementer(IHandshakeListener, IPushProducer)
class SecureLink(LineReceiver):
    """One TLS connection to a person; `called`: it is they who say CHAT on it, as whoever makes it
    does, but for what is made because of an introduction. Ours is the server's side of TLS then, unless
    `tls_server` says otherwise. `punch`: the introduction to name first, on a connection that we make.

    A caller who sends no CHAT within `handshake_wait` of the handshake is dropped. `peer_ping` of
    silence is asked about, and twice that is the end. After our QUIT it is still read what of ours
    has arrived, until they close, for at most `farewell_wait`.
    """

    line_mode = 0
    transport: Any = None  # a TCP connection, or what startTLS makes of it

    def __init__(
        self,
        owner: SecureOwner,
        clock: IReactorTime,
        limits: Limits,
        handshake: Handshake,
        called: bool,
        *,
        tls_server: bool | None = None,
        punch: str = "",
    ) -> None:
        self.called = called
        self.tls_server = called if tls_server is None else tls_server
        self.relayed = False
        self.both_dialled = False
        """They have named the introduction too, on a connection that we made: the two dials met."""
        self._punch = punch
        self.dialled = True
        """Whether we made it, or asked the relay for it: not so once it was accepted."""
        self.heard_any = False
        self.host = ""
        self.port = 0
        self._owner = owner
        self._limits = limits
        self._handshake = handshake
        self._decoder = StrictDecoder(Sender.PEER, limits)
        self._timers = Timers(clock)
        self._keepalive = Keepalive(self._timers, limits.peer_ping, self.probe, self._lost)
        self._waiting: deque[Entry | int] = deque()  # an acknowledgement is a number
        self._writable = True
        self._holds: set[str] = set()  # who wants nothing more to be read
        self.source: Callable[[], Bcp2Message | None] | None = (
            None  # what goes out when nobody talks
        )
        self.sink: Callable[[Data], None] | None = None
        """Who takes the pieces of files; while there is nobody, the owner is told of them."""
        self._ack = 0  # to be told with what is written next, or when all that came is read
        self._drawing = False
        self._made = self._heard_of = self._leaving = self._parting = self._gone = False
        self._reason = ""

    @property
    def key(self) -> str:
        """The key that they proved."""
        assert self._handshake.peer_key is not None
        return self._handshake.peer_key

    def start(self, transport: Any, data: bytes) -> None:
        """Go on with `transport`, which they made; `data` are the first bytes of their TLS, if any."""
        self.dialled = False
        transport.protocol = self
        self.makeConnection(transport)
        start_tls(transport, self._handshake, self.tls_server)
        if data:
            transport.protocol.dataReceived(data)

    # What the session wants of it.

    def ask(self, me: Me, opening: Opening) -> None:
        """Call them."""
        self._send(Chat(me.client_id, *told(opening)))

    def answer(self, me: Me, opening: Opening) -> None:
        """Say yes to their call."""
        self._timers.cancel("begin")
        self._send(ChatAck(me.client_id, *told(opening)))
        # Not in one TLS record with all that waits: it would be of no use before the last of that.
        self._timers.after("answered", 0, self._flush)

    def refuse(self, status: int) -> None:
        """Say no to their call, and close."""
        self._send(Error(status, about="CHAT"))
        self._close()

    def write_entry(self, entry: Entry) -> None:
        """Say what is numbered, once what was said before is on its way."""
        self._waiting.append(entry)
        self._flush()

    def acknowledge(self, id: int) -> None:
        """Tell that everything up to `id` is kept, and that what was said before knew nothing of it."""
        if not self._waiting:
            self._ack = id
            return
        if isinstance(self._waiting[-1], int):
            self._waiting.pop()
        self._waiting.append(id)

    def probe(self) -> None:
        """Find out whether they are there."""
        self._send(Ping())

    def write_farewell(self, me: Me, word: str) -> None:
        """Say farewell; they close."""
        if not self._leaving and not self._gone and not self._parting:
            self._waiting.clear()
            self._send(Quit())
            self._parting = True
            self._timers.after("linger", self._limits.farewell_wait, self._close)

    def drop(self) -> None:
        """Close without a word."""
        self._close()

    def abort(self) -> None:
        """Be gone at once."""
        self._reason = "there were too many callers"
        self._leaving = True
        self.transport.abortConnection()

    def give_up(self) -> None:
        """Nobody wants it any more, be it connected or not."""
        self._leaving = True
        if self.transport is not None:
            self.transport.abortConnection()

    # What Twisted calls.

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        self.host, self.port = plain_host(peer.host), peer.port
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self._timers.after("begin", self._limits.handshake_wait, self._too_slow)
        if self.dialled:
            self._begin_tls()

    def _begin_tls(self) -> None:
        """On a connection that we made, or that the relay did."""
        transport = self.transport
        if self._punch:
            punch_first(transport, self._punch)
        start_tls(transport, self._handshake, not self.tls_server)
        if self._punch:
            transport.protocol = BeforeTls(transport, self._met)

    def _met(self) -> None:
        self.both_dialled = True

    def handshakeCompleted(self) -> None:
        if not self._handshake.accepted():
            self._leaving = True
            self.transport.abortConnection()
            return
        self._made = True
        self.transport.registerProducer(self, True)
        self._timers.after("begin", self._limits.handshake_wait, self._too_slow)
        self._listen()
        self._owner.secure_made(self)

    def rawDataReceived(self, data: bytes) -> None:
        if self._leaving:
            return
        self._heard_of = True
        self._listen()
        for message in self._decoder.feed(data):
            if not self._leaving:
                self._take(message)
        self._tell_ack()
        if self._decoder.closed and not self._leaving:
            self._reason = "they sent what is no BCP/2"
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._timers.stop()
        # A client's handshake is done before the server has judged it (RFC 8446, section 4.4).
        judged = self._heard_of or reason.check(ConnectionDone, ConnectionLost)
        if not self._made or not judged:
            self._reason = self._reason or self._handshake.trouble(reason)
        self._owner.secure_lost(self, self._reason or "the connection ended")

    def pauseProducing(self) -> None:
        """The transport has enough; what is said waits. Nothing else is written but short answers."""
        self._writable = False

    def resumeProducing(self) -> None:
        """It takes more."""
        self._writable = True
        self._flush()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` follows."""

    def hold(self, held: bool, who: str = "screen") -> None:
        """Read nothing more from them, or go on, as far as `who` is concerned."""
        before = bool(self._holds)
        if held:
            self._holds.add(who)
        else:
            self._holds.discard(who)
        if self._gone or bool(self._holds) is before:
            return
        if held:
            self.transport.pauseProducing()
            self._keepalive.stop()  # a silence of our own making
        else:
            self.transport.resumeProducing()
            self._listen()

    def more(self) -> None:
        """`source` has something, or has again."""
        self._flush()

    # How it follows.

    def _take(self, message: Bcp2Message | RemoteError) -> None:
        match message:
            case Data() if self.sink is not None and not self._parting:
                self.sink(message)  # by far the most, so by the shortest way
            case RemoteError():
                self._send(Error(message.status))
            case Ping():
                self._send(PingAck())
            case Quit() if self._parting:
                self._close()
            case _:
                self._hear(news_of(message))

    def _hear(self, news: News | None) -> None:
        """Tell it; after our own farewell nobody wants to know more than what of ours has arrived."""
        match news:
            case Called() | Answered():
                self._timers.cancel("begin")
            case Told(entry) if entry.kind == MSG:
                self.heard_any = True
        if news is not None and (isinstance(news, Arrived) or not self._parting):
            self._owner.secure_heard(self, news)

    def _send(self, message: Bcp2Message) -> None:
        if not self._leaving and not self._gone:
            self._tell_ack()
            if isinstance(message, Data):
                self.transport.writeSequence(encode_apart(message))
            else:
                self.transport.write(encode(message))

    def _tell_ack(self) -> None:
        """An acknowledgement goes out before whatever is said in answer."""
        if self._ack and not self._leaving and not self._gone:
            ack, self._ack = self._ack, 0
            self.transport.write(encode(MsgAck(ack)))

    def _flush(self) -> None:
        if "answered" in self._timers:
            return
        while self._waiting and self._writable and not (self._leaving or self._parting):
            if self._gone:
                return
            entry = self._waiting.popleft()
            if isinstance(entry, int):
                self._ack = entry
                self._tell_ack()
                continue
            try:
                wanted = self._owner.secure_spoke(self, entry)
            except LedgerTrouble as error:
                self._reason = str(error)
                self._close()
                return
            if wanted:
                self._send(message_of(entry))
        self._draw()

    def _draw(self) -> None:
        """Send what `source` has. Asked, it may say that it has more: that is seen here as well."""
        if self._drawing:
            return
        self._drawing = True
        try:
            while self.source is not None and self._writable and not self._leaving:
                message = None if self._parting else self.source()
                if message is None or self._gone:
                    return
                self._send(message)
        finally:
            self._drawing = False

    def _listen(self) -> None:
        if not self._holds:
            self._keepalive.heard()

    def _lost(self, reason: str) -> None:
        self._reason = reason
        self._leaving = True
        self.transport.abortConnection()

    def _too_slow(self) -> None:
        if not self._made:
            self._reason = "the TLS handshake was not done in time"
            self._leaving = True
            self.transport.abortConnection()
        elif self.called:
            self._close()

    def _close(self) -> None:
        if not self._leaving and not self._gone:
            self._tell_ack()
            self._leaving = True
            if self._made:
                self.transport.unregisterProducer()
            self.transport.loseConnection()
            self._timers.after("linger", self._limits.farewell_wait, self.transport.abortConnection)
