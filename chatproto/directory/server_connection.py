"""Connection to a BCP/2 server: TLS, requests, answers and pushes."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.net.addresses import AddressScope, reach_of
from chatproto.net.handshake import Handshake
from chatproto.net.rate_limiter import RateLimiter
from chatproto.net.tls_connection import TimedTlsConnection
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.classic import Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import (
    BAD_BCP2,
    BUSY_SERVER,
    MAYBE_CLASSIC,
    NO_ANSWER,
    REQUEST_TIMEOUT,
    SERVER_LOST,
    WRONG_ANSWER_TYPE,
    Cause,
    Reason,
)
from chatproto.wire.strict import encode
from chatproto.wire.values import distinct

READ_BURST, READ_RATE = 20_000, 1000.0
"""Messages of a server that are read at once, and then per second; further ones are read later."""
PING_BURST, PING_RATE = 10, 1.0
"""PINGs of a server that are answered at once, and then per second."""


class ServerConnectionOwner(Protocol):
    """Owner of the connection: `directory.secure_client.SecureServer`."""

    @property
    def name(self) -> str: ...
    def connection_made(self, connection: ServerConnection) -> None: ...
    def connection_pushed(self, push: Bcp2Message) -> None: ...
    def connection_lost(
        self, connection: ServerConnection | None, why: str, final: bool
    ) -> None: ...


class Sign(Enum):
    """Reactions of a plain-text server to a TLS hello."""

    NONE = auto()
    SILENT = auto()
    """No answer: the server waits for more input."""
    PLAIN = auto()
    """An answer in plain text."""


@distinct
class _PendingAnswer(NamedTuple):
    """Pending request: the expected answer, and the receiver of messages that precede it."""

    wanted: type[Bcp2Message]
    answer: Deferred[Bcp2Message]
    part: Callable[[Bcp2Message], None] | None = None


class ServerConnection(TimedTlsConnection):
    """TLS connection to a server: requests out, answers and pushes in."""

    _limits: ClientLimits

    def __init__(
        self,
        server: ServerConnectionOwner,
        clock: IReactorTime,
        handshake: Handshake,
        limits: ClientLimits,
    ) -> None:
        super().__init__(Sender.SERVER, handshake, limits, clock, limits.ping_wait)
        self._server = server
        self._clock = clock
        self._asked: dict[int, _PendingAnswer] = {}
        self._cseq = 0
        self._closing = False  # for good: its owner ignores what follows
        self.sign = Sign.NONE
        self._answer = b""
        self._reading = RateLimiter(READ_RATE, READ_BURST)
        self._pings = RateLimiter(PING_RATE, PING_BURST)

    def ask(
        self,
        make: Callable[[int], Bcp2Message],
        wanted: type[Bcp2Message],
        part: Callable[[Bcp2Message], None] | None = None,
    ) -> Deferred[Bcp2Message]:
        """Send a request; the Deferred fires with its answer, or fails with Refused or Unreachable.

        `part` receives every message before the answer that repeats the CSeq.
        """
        self._cseq += 1
        try:
            data = encode(make(self._cseq))
        except LocalError as error:
            return fail(error)
        answer: Deferred[Bcp2Message] = Deferred()
        self._asked[self._cseq] = _PendingAnswer(wanted, answer, part)
        answer.addTimeout(self._limits.request_wait, self._clock, self._unanswered)
        self._write(data)
        return answer

    @property
    def near(self) -> bool:
        """Return True if the connection stays on this machine."""
        return reach_of(str(self.transport.getPeer().host)) is AddressScope.LOOPBACK

    def close(self) -> None:
        """Close the connection without calling its owner."""
        self._closing = True
        if self._made:
            self._close()
        elif self.transport is not None:
            self._finish()

    # Called by Twisted.

    def connectionMade(self) -> None:
        super().connectionMade()
        self._begin_tls()
        if getattr(self.transport, "protocol", self) is not self:
            self._note_answer(self.transport.protocol)

    def _note_answer(self, tls: Any) -> None:
        """Store the first bytes of the answer to the TLS hello: a full server refuses in plain text."""

        def first(data: bytes) -> None:
            del tls.dataReceived
            self._answer = data[:ANSWER_BEGINS]
            tls.dataReceived(data)

        tls.dataReceived = first

    def established(self) -> None:
        self._timers.cancel("begin")
        self._listen()
        self._server.connection_made(self)

    def _pace(self, cost: int) -> float:
        return self._reading.take(self._clock.seconds(), cost)

    def _trouble(self, reason: Failure) -> str:
        why, self.sign = _tls_trouble(self._handshake, reason, self._answer)
        return why

    def ended(self, why: str, reason: Failure) -> None:
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.answer.errback(ServerUnreachable(SERVER_LOST(server=self._server.name, why=why)))
        if not self._closing:
            self._server.connection_lost(self, why, self._handshake.refusal is not None)

    # Messages.

    def received(self, message: Bcp2Message | RemoteError) -> None:
        cseq = getattr(message, "cseq", None)
        if isinstance(message, RemoteError):
            self._reason = BAD_BCP2(why=message.sentence)
            self._close()
        elif isinstance(message, Ping) and cseq is None:
            if self._pings.allow(self._clock.seconds()):
                self._answer_ping()
        elif cseq is None or cseq not in self._asked:
            if not self._closing:  # else its messages belong to a connection that we have replaced
                self._server.connection_pushed(message)
        else:
            wanted, answer, part = self._asked[cseq]
            if part is not None and not isinstance(message, wanted | Error):
                part(message)
                return
            del self._asked[cseq]
            if isinstance(message, Error):
                why = Reason.of(message.status).sentence
                answer.errback(ServerRefused(why, message.status, message.retry_after, message.why))
            elif isinstance(message, wanted):
                answer.callback(message)
            else:
                why = WRONG_ANSWER_TYPE(server=self._server.name, method=message.method)
                answer.errback(ServerUnreachable(why))

    def _unanswered(self, result: object, timeout: float) -> object:
        """End the connection: an unanswered request means that it is broken."""
        self._lose(REQUEST_TIMEOUT(seconds=timeout))
        raise ServerUnreachable(SERVER_LOST(server=self._server.name, why=self._reason))

    def probe(self) -> None:
        """Send PING, a request: without an answer in time the connection ends."""
        self.ask(Ping, PingAck).addErrback(lambda _: None)

    def _too_slow(self) -> None:
        self._reason, self.sign = MAYBE_CLASSIC.around(NO_ANSWER()), Sign.SILENT
        self._finish()

    def _finish(self) -> None:
        """Close with FIN during the handshake: TLS would send RST, on which some classic servers exit."""
        if isinstance(self.transport, FileDescriptor):
            FileDescriptor.loseConnection(self.transport)
        else:
            self.transport.abortConnection()


ANSWER_BEGINS = 64
"""Bytes of the answer to a TLS hello that are examined."""
REFUSED_FOR_NOW = re.compile(rb"ERROR\r\nStatus: (408|429|503)\b")


def _tls_trouble(handshake: Handshake, reason: Failure, answer: bytes) -> tuple[Cause, Sign]:
    """Return why the handshake failed, and the sign of a classic server if there is one.

    answer: first bytes of the server's answer. A BCP/2 server that is full, or that refuses the address
    for now, says so in plain text; it is retried.
    """
    refused = REFUSED_FOR_NOW.match(answer)
    if refused is not None:
        status = int(refused[1])
        return BUSY_SERVER.around(Cause(Reason.of(status))), Sign.NONE
    why = handshake.trouble(reason)
    if why.reason is Reason.NOT_TLS:
        return MAYBE_CLASSIC.around(why), Sign.PLAIN
    if why.reason is Reason.TLS_BROKEN_OFF:
        return MAYBE_CLASSIC.around(why), Sign.NONE
    return why, Sign.NONE
