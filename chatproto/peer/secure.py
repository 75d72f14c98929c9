"""A link inside TLS: BCP/2 between two people on one connection. It moves bytes and owns its timers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.dialects import Me
from chatproto.wire.errors import REASONS, RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import Limits
from chatproto.wire.messages import Sender
from chatproto.wire.strict import StrictDecoder, encode


@dataclass(frozen=True, slots=True)
class Called:
    """They call, and say that they are `client_id`."""

    client_id: str
    half: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """They say yes to our call, and that they are `client_id`."""

    client_id: str
    half: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """They say no to our call."""

    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """They said something."""

    text: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """They have everything up to message `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class Gone:
    """They said farewell."""

    reason: str


News = Called | Answered | Refused | Heard | Arrived | Gone


class SecureOwner(Protocol):
    """Who is told what happens on a secure link."""

    def secure_made(self, link: SecureLink) -> None:
        """TLS stands, as far as this side can tell; `link.key` is theirs."""

    def secure_heard(self, link: SecureLink, news: News) -> None:
        """They said this."""

    def secure_spoke(self, link: SecureLink, text: str, number: int) -> None:
        """Our message was written, as `number`."""

    def secure_lost(self, link: SecureLink, reason: str) -> None:
        """The connection is gone."""


class Handshake(Protocol):
    """What TLS found out: `identity.tls.Handshake`."""

    peer_key: str | None

    def accepted(self) -> bool: ...
    def trouble(self, reason: Failure) -> str: ...


@implementer(IHandshakeListener, IPushProducer)
class SecureLink(LineReceiver):
    """One TLS connection to a person; `called`: they made it, and so ours is the server's side.

    A caller who sends no CHAT within `handshake_wait` of the handshake is dropped. `peer_ping` of
    silence is asked about, and twice that is the end.
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
    ) -> None:
        self.called = called
        self.heard_any = False
        self.host = ""
        self.port = 0
        self._owner = owner
        self._clock = clock
        self._limits = limits
        self._handshake = handshake
        self._decoder = StrictDecoder(Sender.PEER, limits)
        self._timers: dict[str, IDelayedCall] = {}
        self._waiting: list[tuple[str, int]] = []
        self._writable = True
        self._stream = secrets.token_hex(8)
        self._number = 0
        self._made = self._heard_of = self._leaving = self._gone = False
        self._reason = ""

    @property
    def key(self) -> str:
        """The key that they proved."""
        assert self._handshake.peer_key is not None
        return self._handshake.peer_key

    @property
    def backlog(self) -> int:
        """How many messages wait to be written."""
        return len(self._waiting)

    def start(self, transport: Any, data: bytes) -> None:
        """Go on with `transport`, on which they called, as the TLS server; `data` are the first bytes."""
        transport.protocol = self
        self.makeConnection(transport)
        transport.startTLS(self._handshake, True)
        transport.protocol.dataReceived(data)

    # What the session wants of it.

    def write_opener(self, me: Me, half: bool = False) -> None:
        """Call them."""
        self._send(Chat(me.client_id, "half" if half else "full", self._stream))

    def answer(self, me: Me, half: bool = False) -> None:
        """Say yes to their call."""
        self._send(ChatAck(me.client_id, "half" if half else "full", self._stream))

    def refuse(self, status: int) -> None:
        """Say no to their call, and close."""
        self._send(Error(status, about="CHAT"))
        self._close()

    def write_text(self, me: Me, text: str) -> None:
        """Say `text`, once what was said before is on its way."""
        self._number += 1
        self._waiting.append((text, self._number))
        self._flush()

    def write_farewell(self, me: Me, word: str) -> None:
        """Say farewell, and close."""
        self._send(Quit())
        self._close()

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
        self._after("begin", self._limits.handshake_wait, self._too_slow)
        if not self.called:
            self.transport.startTLS(self._handshake, True)

    def handshakeCompleted(self) -> None:
        if not self._handshake.accepted():
            self._leaving = True
            self.transport.abortConnection()
            return
        self._made = True
        self.transport.registerProducer(self, True)
        self._after("begin", self._limits.handshake_wait, self._too_slow)
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
        if self._decoder.closed and not self._leaving:
            self._reason = "they sent what is no BCP/2"
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        for name in tuple(self._timers):
            self._cancel(name)
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

    def hold(self, held: bool) -> None:
        """Read nothing more from them, or go on."""
        if self._gone:
            return
        if held:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    # How it follows.

    @property
    def unwritten(self) -> tuple[str, ...]:
        """What was said and never written."""
        return tuple(text for text, _ in self._waiting)

    def _take(self, message: Bcp2Message | RemoteError) -> None:
        news: News | None = None
        match message:
            case RemoteError():
                self._send(Error(message.status))
            case Chat(client_id, mode):
                self._cancel("begin")
                news = Called(client_id, mode == "half")
            case ChatAck(client_id, mode):
                self._cancel("begin")
                news = Answered(client_id, mode == "half")
            case Error(status, about="CHAT"):
                news = Refused(f"{status} {REASONS.get(status, 'refused')}")
            case Msg(number, _, text):
                self.heard_any = True
                self._owner.secure_heard(self, Heard(text))
                self._send(MsgAck(number))
            case MsgAck(number):
                news = Arrived(number)
            case Ping():
                self._send(PingAck())
            case Quit(reason):
                news = Gone(reason)
            case PingAck() | Error() | Turn() | Mode():
                pass
        if news is not None:
            self._owner.secure_heard(self, news)

    def _send(self, message: Bcp2Message) -> None:
        if not self._leaving and not self._gone:
            self.transport.write(encode(message))

    def _flush(self) -> None:
        while self._waiting and self._writable and not self._leaving and not self._gone:
            text, number = self._waiting.pop(0)
            self._send(Msg(number, _now(), text))
            self._owner.secure_spoke(self, text, number)

    def _listen(self) -> None:
        """Something came: the silence begins anew."""
        self._cancel("gone")
        self._after("ping", self._limits.peer_ping, self._ping)

    def _ping(self) -> None:
        self._send(Ping())
        self._after("gone", self._limits.peer_ping, self._lost)

    def _lost(self) -> None:
        self._reason = f"nothing came for {2 * self._limits.peer_ping:g} s"
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
            self._leaving = True
            if self._made:
                self.transport.unregisterProducer()
            self.transport.loseConnection()
            self._after("linger", self._limits.farewell_wait, self.transport.abortConnection)

    def _after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        self._cancel(name)

        def ring() -> None:
            del self._timers[name]
            what()

        self._timers[name] = self._clock.callLater(seconds, ring)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _now() -> str:
    """RFC 3339, UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
