"""One connection to a server of our own kind: TLS, requests out, answers and pushes in."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.net.addresses import AddressScope, reach_of
from chatproto.net.handshake import Handshake
from chatproto.net.rate_limiter import RateLimiter
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.classic import Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.limits import Limits
from chatproto.wire.reasons import status_line
from chatproto.wire.strict import StrictDecoder, encode

MESSAGES_AT_ONCE = 64
"""Messages of a server that are read in one turn of the reactor."""
READ_BURST, READ_RATE = 20_000, 1000.0
"""Messages of a server that are read at once, and then in a second; the others are read later."""
PING_BURST, PING_RATE = 10, 1.0
"""PINGs of a server that are answered at once, and then in a second."""


class LineOwner(Protocol):
    """Owner of the connection: `directory.secure_client.SecureServer`."""

    @property
    def name(self) -> str: ...
    def line_made(self, line: ServerConnection) -> None: ...
    def line_pushed(self, push: Bcp2Message) -> None: ...
    def line_lost(self, line: ServerConnection | None, why: str, final: bool) -> None: ...


class Sign(Enum):
    """Reactions of a server that speaks plain text to a TLS hello."""

    NONE = auto()
    SILENT = auto()
    """No answer: the server waits for more input."""
    PLAIN = auto()
    """An answer in plain text."""
    CLOSED = auto()
    """A closed connection; a server of our kind that stops at that moment does the same."""


class _Asked(NamedTuple):
    """A request that waits: for which answer, and who gets the messages before it."""

    wanted: type[Bcp2Message]
    answer: Deferred[Bcp2Message]
    part: Callable[[Bcp2Message], None] | None = None


@implementer(IHandshakeListener)
class ServerConnection(LineReceiver):
    """One TLS connection to a server: requests out, answers and pushes in."""

    line_mode = 0
    transport: Any = None  # a TCP connection, or what startTLS makes of it

    def __init__(
        self, server: LineOwner, clock: IReactorTime, handshake: Handshake, limits: Limits
    ) -> None:
        self._server = server
        self._clock = clock
        self._handshake = handshake
        self._limits = limits
        self._decoder = StrictDecoder(Sender.SERVER, limits)
        self._asked: dict[int, _Asked] = {}
        self._cseq = 0
        self._made = self._heard_of = self._closing = False
        self.sign = Sign.NONE
        self._answer = b""
        self._reason = ""
        self._timer: IDelayedCall | None = None
        self._pace = RateLimiter(READ_RATE, READ_BURST)
        self._pings = RateLimiter(PING_RATE, PING_BURST)
        self._resting: IDelayedCall | None = None
        self._lost = False

    @property
    def key(self) -> str:
        """The key that it proved."""
        assert self._handshake.peer_key is not None
        return self._handshake.peer_key

    def ask(
        self,
        make: Callable[[int], Bcp2Message],
        wanted: type[Bcp2Message],
        part: Callable[[Bcp2Message], None] | None = None,
    ) -> Deferred[Bcp2Message]:
        """Send a request; fires with its answer, or fails with Refused or Unreachable.

        `part` gets every message before the answer that repeats the CSeq.
        """
        self._cseq += 1
        try:
            data = encode(make(self._cseq))
        except LocalError as error:
            return fail(error)
        answer: Deferred[Bcp2Message] = Deferred()
        self._asked[self._cseq] = _Asked(wanted, answer, part)
        answer.addTimeout(self._limits.request_wait, self._clock, self._too_slow)
        self.transport.write(data)
        return answer

    @property
    def near(self) -> bool:
        """Return True if the connection stays on this machine."""
        return reach_of(str(self.transport.getPeer().host)) is AddressScope.LOOPBACK

    def close(self) -> None:
        """Close it, for good."""
        self._closing = True
        if self._made:
            self.transport.loseConnection()
        elif self.transport is not None:
            self._finish()

    # What Twisted calls.

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self._set(self._limits.handshake_wait, self._stuck)
        tcp = self.transport
        tcp.startTLS(self._handshake, True)
        if getattr(tcp, "protocol", self) is not self:
            self._note_answer(tcp.protocol)

    def _note_answer(self, tls: Any) -> None:
        """Keep how the answer to the TLS hello begins: a full server refuses in plain text."""

        def first(data: bytes) -> None:
            del tls.dataReceived
            self._answer = data[:ANSWER_BEGINS]
            tls.dataReceived(data)

        tls.dataReceived = first

    def handshakeCompleted(self) -> None:
        if not self._handshake.accepted():
            self.transport.abortConnection()
            return
        self._made = True
        self._set(self._limits.ping_wait, self._ping)
        self._server.line_made(self)

    def rawDataReceived(self, data: bytes) -> None:
        self._heard_of = True
        if not self._closing:
            self._set(self._limits.ping_wait, self._ping)
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Read a few messages now; the others, and the bytes behind them, a little later."""
        found = self._decoder.feed(data, MESSAGES_AT_ONCE)
        for message in found:
            if isinstance(message, RemoteError):
                self._reason = f"it sent what is no BCP/2 ({message})"
                self.transport.loseConnection()
                return
            self._take(message)
        wait = self._pace.take(self._clock.seconds(), len(found))
        if (wait or self._decoder.more) and self._resting is None and not self._lost:
            self.transport.pauseProducing()
            self._resting = self._clock.callLater(wait, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        if self._decoder.more:
            self._read(b"")
        if self._resting is None:
            self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        while self._decoder.more:
            self._read(b"")
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        refused = self._handshake.refusal is not None
        # A client's handshake is done before the server has judged it (RFC 8446, section 4.4).
        judged = self._heard_of or reason.check(ConnectionDone, ConnectionLost)
        if not self._reason and self._made and judged:
            self._reason = "the connection ended"
        elif not self._reason:
            self._reason, self.sign = _tls_trouble(self._handshake, reason, self._answer)
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.answer.errback(
                ServerUnreachable(f"the server at {self._server.name}: {self._reason}")
            )
        if not self._closing:
            self._server.line_lost(self, self._reason, refused)

    # How it follows.

    def _take(self, message: Bcp2Message) -> None:
        cseq = getattr(message, "cseq", None)
        if isinstance(message, Ping) and cseq is None:
            if self._pings.allow(self._clock.seconds()):
                self.transport.write(encode(PingAck()))
        elif cseq is None or cseq not in self._asked:
            if not self._closing:  # else what it says is of a connection that we have left
                self._server.line_pushed(message)
        else:
            wanted, answer, part = self._asked[cseq]
            if part is not None and not isinstance(message, wanted | Error):
                part(message)
                return
            del self._asked[cseq]
            if isinstance(message, Error):
                why = status_line(message.status)
                answer.errback(ServerRefused(why, message.status, message.retry_after))
            elif isinstance(message, wanted):
                answer.callback(message)
            else:
                answer.errback(ServerUnreachable(f"{message.method} is no answer to that"))

    def _too_slow(self, result: object, timeout: float) -> object:
        """A request that nobody answers is the sign of a connection that is no more."""
        self._reason = f"no answer within {timeout:g} s"
        self.transport.abortConnection()
        raise ServerUnreachable(f"the server at {self._server.name}: {self._reason}")

    def _set(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, what)

    def _ping(self) -> None:
        self.ask(Ping, PingAck).addErrback(lambda _: None)
        self._set(self._limits.request_wait, self._stuck)

    def _stuck(self) -> None:
        if self._made:
            self._reason = self._reason or "it does not answer"
            self.transport.abortConnection()
        else:
            self._reason, self.sign = "it does not answer" + MAYBE_PLAIN, Sign.SILENT
            self._finish()

    def _finish(self) -> None:
        """End with FIN before TLS stands: it would end with RST, upon which some classic servers exit."""
        if isinstance(self.transport, FileDescriptor):
            FileDescriptor.loseConnection(self.transport)
        else:
            self.transport.abortConnection()


ANSWER_BEGINS = 64
"""Bytes of the answer to a TLS hello that are looked at."""
REFUSED_FOR_NOW = re.compile(rb"ERROR\r\nStatus: (408|429|503)\b")
MAYBE_PLAIN = ": if it is a classic server, --plain speaks to it"


def _tls_trouble(handshake: Handshake, reason: Failure, answer: bytes) -> tuple[str, Sign]:
    """Return why the handshake failed, and what that says of the server.

    answer: how the server's answer begins. A server of our kind that is full, or that refuses the address
    for now, says so in plain text; it is tried again.
    """
    refused = REFUSED_FOR_NOW.match(answer)
    if refused is not None:
        status = int(refused[1])
        return f"it takes no connection for now ({status_line(status)})", Sign.NONE
    why = handshake.trouble(reason)
    if "do not speak TLS" in why:
        return why + MAYBE_PLAIN, Sign.PLAIN
    if "in the middle of the TLS handshake" in why:
        closed = reason.check(ConnectionDone) is not None
        return why + MAYBE_PLAIN, Sign.CLOSED if closed else Sign.NONE
    return why, Sign.NONE
