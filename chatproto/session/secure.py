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

from chatproto.net.fast_tcp import start_tls
from chatproto.net.handshake import Handshake
from chatproto.net.keepalive import Keepalive
from chatproto.net.rate_limiter import RateLimiter
from chatproto.net.timers import Timers
from chatproto.session.before_tls import BeforeTls, punch_first
from chatproto.session.effects import Opening
from chatproto.session.ledger import MSG, LedgerTrouble, StreamEntry
from chatproto.session.peer_messages import (
    Answered,
    Arrived,
    Called,
    EntryReceived,
    PeerEvent,
    event_of,
    message_of,
    opening_headers,
)
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_files import Data, Offer
from chatproto.wire.bcp2_peer import Chat, ChatAck, Msg, MsgAck, Quit
from chatproto.wire.classic import Sender
from chatproto.wire.dialects import Me
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import Limits
from chatproto.wire.strict import StrictDecoder, encode, encode_apart

MESSAGES_AT_ONCE = 64
"""Messages that are read in one turn of the reactor; the others wait for the next."""
PING_EVERY = 10.0
"""Seconds between two PINGs that a caller may send while the call rings; two may come at once."""
WHILE_RINGING = 20
"""Messages of any kind that may come until a call is answered: about one in four seconds."""


NO_BCP2 = "they sent what is no BCP/2"
OFFER_COST = 20
"""An offer of a file costs as much as so many short messages."""


class SecureOwner(Protocol):
    """Who is told what happens on a secure link."""

    def secure_made(self, link: SecureLink) -> None:
        """TLS stands, as far as this side can tell; `link.key` is theirs."""

    def secure_heard(self, link: SecureLink, news: PeerEvent) -> None:
        """They said this."""

    def secure_spoke(self, link: SecureLink, entry: StreamEntry) -> bool:
        """Our entry is written now, unless it was taken back. Raises LedgerTrouble: then it is not."""

    def secure_lost(self, link: SecureLink, reason: str) -> None:
        """The connection is gone."""


@implementer(IHandshakeListener, IPushProducer)
class SecureLink(LineReceiver):
    """One TLS connection to a person; `called`: it is they who say CHAT on it, as whoever makes it
    does, but for what is made because of an introduction. Ours is the server's side of TLS then, unless
    `tls_server` says otherwise. `punch`: the introduction to name first, on a connection that we make.

    A caller who sends no CHAT within `handshake_wait` of the handshake is dropped. Until a call was
    taken, anything but the few messages that may come then ends the connection. Nothing is read while
    answers wait to be written, nor faster than `toll` says. `peer_ping` of silence is asked about, and
    twice that is the end. After our QUIT it is still read what of ours has arrived, until they close,
    for at most `farewell_wait`.
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
        self._waiting: deque[StreamEntry | int] = deque()  # an acknowledgement is a number
        self._writable = True
        self._holds: set[str] = set()  # who wants nothing more to be read
        self.source: Callable[[], Bcp2Message | None] | None = (
            None  # what goes out when nobody talks
        )
        self.sink: Callable[[Data], None] | None = None
        """Who takes the pieces of files; while there is nobody, the owner is told of them."""
        self.toll: Callable[[int], float] | None = None
        """Takes what a message costs; says how many seconds nothing more is read."""
        self._open = False  # a call was taken, theirs or ours
        self._we_called = self._they_called = False
        self._pings = RateLimiter(1 / PING_EVERY, 2)
        self._ringing = 0  # messages that came before a call was taken
        self._pong = False  # an answer to PING, to be written when it can be
        self._late = b""  # came while they owed time
        self._ack = 0  # to be told with what is written next, or when all that came is read
        self._drawing = False
        self._is_paced = False  # they owed no time when the call was taken, or do not any more
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
        self._we_called = True
        self._send(Chat(me.client_id, *opening_headers(opening)))

    def answer(self, me: Me, opening: Opening) -> None:
        """Say yes to their call."""
        self._open = True
        self._timers.cancel("begin")
        self._send(ChatAck(me.client_id, *opening_headers(opening)))
        # Not in one TLS record with all that waits: it would be of no use before the last of that.
        self._timers.after("answered", 0, self._flush)

    def refuse(self, status: int) -> None:
        """Say no to their call, and close."""
        self._send(Error(status, about="CHAT"))
        self._close()

    def write_entry(self, entry: StreamEntry) -> None:
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
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Read a few messages now; the others, and the bytes behind them, in the next turn.

        The first of a call that was taken waits for what they owe from connections before it.
        """
        data, self._late = self._late + data, b""
        if self._open and not self._is_paced and self.toll is not None:
            wait = self.toll(0)
            if wait:
                self._late = data
                self._rest_for(wait)
                return
            self._is_paced = True
        cost = self._take_some(data)
        if self._leaving:
            return
        if self._writable:
            self._tell_ack()
        if self._decoder.closed:
            self._reason = NO_BCP2
            self._close()
            return
        wait = self.toll(cost) if self.toll is not None and cost else 0.0
        if wait or self._decoder.more:
            self._rest_for(wait)

    def _take_some(self, data: bytes) -> int:
        """Take the messages of one turn; return what they cost."""
        cost = 0
        for message in self._decoder.feed(data, MESSAGES_AT_ONCE):
            if not self._leaving:
                self._take(message)
                cost += _cost(message)
        return cost

    def _rest_for(self, wait: float) -> None:
        """Read nothing more for `wait` seconds, then go on with what has come."""
        self.hold(True, "pace")
        self._timers.after("pace", wait, self._rested)

    def _rested(self) -> None:
        wait = self.toll(0) if self.toll is not None else 0.0
        if wait:
            self._rest_for(wait)
        elif self._decoder.more or self._late:
            self._read(b"")
        if "pace" not in self._timers:
            self.hold(False, "pace")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._timers.stop()
        self._end(reason)

    def _end(self, reason: Failure) -> None:
        """Tell of the end, once all that came before it was read."""
        if self._decoder.more and not self._leaving:
            self._take_some(b"")
            self._timers.after("pace", 0, lambda: self._end(reason))
            return
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
        if self._pong:
            self._pong = False
            self._send(PingAck())
        self._tell_ack()
        self._flush()
        if self._writable:
            self.hold(False, "unsent")

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
            self._timers.after("held", self._limits.peer_ping / 2, self._tell_alive)
        else:
            self._timers.cancel("held")
            self.transport.resumeProducing()
            self._listen()

    @property
    def held(self) -> bool:
        """Return True while we pause reading."""
        return bool(self._holds)

    def _tell_alive(self) -> None:
        """Let them hear something while nothing is read: their PING is not, and they would dial again.

        A PINGACK asks for no answer, so nothing piles up at their end; TCP tells if they are gone.
        """
        if self._writable and self._made:
            self._send(PingAck())
        self._timers.after("held", self._limits.peer_ping / 2, self._tell_alive)

    def more(self) -> None:
        """`source` has something, or has again."""
        self._flush()

    # How it follows.

    def _take(self, message: Bcp2Message | RemoteError) -> None:
        if not self._open and not self._may_come(message):
            rubbish = isinstance(message, RemoteError)
            self._lost(NO_BCP2 if rubbish else "they sent what may not come before a call is taken")
            return
        match message:
            case Data() if self.sink is not None and not self._parting:
                self.sink(message)  # by far the most, so by the shortest way
            case RemoteError():
                self._send(Error(message.status))
                if not self._writable:
                    self.hold(True, "unsent")
            case Ping():
                if self._writable:
                    self._send(PingAck())
                else:
                    self._pong = True  # one answers all that come meanwhile
            case Quit() if self._parting:
                self._close()
            case _:
                self._hear(event_of(message))

    def _may_come(self, message: Bcp2Message | RemoteError) -> bool:
        """Return True if `message` may come before a call was taken, and note what it changes."""
        self._ringing += 1
        match message:
            case Chat():
                first, self._they_called = not self._they_called, True
                return first
            case ChatAck():
                self._open = self._we_called
                return self._we_called
        if self.called and not (self._they_called or self._we_called):
            return False
        if isinstance(message, Ping) and not self._pings.allow(self._timers.seconds()):
            return False
        known = isinstance(message, (Ping, PingAck, Error, Quit))
        return known and self._ringing <= WHILE_RINGING

    def _hear(self, news: PeerEvent | None) -> None:
        """Tell it; after our own farewell nobody wants to know more than what of ours has arrived."""
        match news:
            case Called() | Answered():
                self._timers.cancel("begin")
            case EntryReceived(entry) if entry.kind == MSG:
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
            if self.transport is None:
                return  # it is only being dialled, and comes to nothing now
            if self._made:
                self.transport.unregisterProducer()
            self.transport.loseConnection()
            self._timers.after("linger", self._limits.farewell_wait, self.transport.abortConnection)


def _cost(message: Bcp2Message | RemoteError) -> int:
    """Return what reading `message` costs: 1 and another 1 for each KiB; nothing for a piece of a file,
    which a person has asked for."""
    match message:
        case Data():
            return 0
        case Msg(text=text):
            return 1 + len(text) // 1024
        case Offer(files=files):
            return OFFER_COST + len(files) // 4
    return 1
