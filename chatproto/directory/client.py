"""Our side of the classic dialect: one connection per request, one write, one answer, then we close.

`answer.py` parses the forms in which servers answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from chatproto.directory.answer import (
    NoAnswer,
    ServerAnswer,
    ServerRefused,
    contact,
    contacts,
    read_answer,
)
from chatproto.directory.reaching import why_unreached
from chatproto.net.receivers import TextConnection
from chatproto.net.resolver import endpoint_to
from chatproto.net.timers import Timers
from chatproto.wire.classic import ClassicBridge, ClassicInfo, ClassicRegister, Message
from chatproto.wire.codec import encode
from chatproto.wire.fields import Contact, host_port
from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits
from chatproto.wire.reasons import (
    CLASSIC_ID_TAKEN,
    SERVER_SAYS_NO,
    SERVER_TROUBLE,
    CodedError,
    Reason,
)

ANSWER_WAIT = 5.0
"""Seconds for a classic server's answer in all."""
ANSWER_REPEAT = 2.0
"""Seconds without an answer after which the request is repeated on the same connection."""
ANSWER_SILENCE = 0.3
"""Seconds of silence that end an answer; also the pause before a second connection."""


class ServerUnreachable(CodedError):
    """No server answers.

    Args: why: one sentence for the user. status, retry_after: the server refused us for now; the
    request may be repeated after so many seconds.
    """

    def __init__(self, why: str, status: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(why, Reason.of(status) if status else Reason.SERVER_UNREACHABLE)
        self.status = status
        self.retry_after = retry_after


ID_TAKEN = 409


class ClassicServer:
    """A server that speaks the classic dialect, at `host:port`.

    Each request ends within `ANSWER_WAIT`; it fails with Unreachable or Refused. Cancelling it closes
    its connection. Nothing else is sent, since several of these programs exit on unknown input.
    """

    def __init__(
        self, reactor: IReactorTime, host: str, port: int, limits: ClientLimits = CLIENT_DEFAULTS
    ) -> None:
        self.name = host_port(host, port)
        self._reactor = reactor
        self._host = host
        self._port = port
        self._limits = limits

    def register(self, client_id: str, host: str, port: int) -> Deferred[None]:
        """Register the address where we accept calls."""
        asked = self._ask(ClassicRegister(client_id, host, port), "REGACK")
        return asked.addCallback(lambda answer: None)

    def bridge(self, client_id: str) -> Deferred[Contact | None]:
        """Send BRIDGE; return None if the server has no peer for us."""
        asked = self._ask(ClassicBridge(client_id), "BRIDGEACK")
        return asked.addCallback(contact, client_id)

    def info(self) -> Deferred[tuple[Contact, ...]]:
        """Send INFO and return the registered clients."""
        return self._ask(ClassicInfo(), "INFOACK").addCallback(contacts)

    def _ask(self, message: Message, wanted: str) -> Deferred[ServerAnswer]:
        request = _Request(self._reactor, self._limits, encode(message), self._connect)
        request.unknown = isinstance(message, ClassicInfo)

        def judge(answer: ServerAnswer) -> ServerAnswer:
            answer.check(wanted)
            return answer

        return request.asked.addCallback(judge).addErrback(self._explain)

    def _connect(self, protocol: Protocol) -> Deferred[Protocol]:
        wait = ANSWER_WAIT
        endpoint = endpoint_to(self._reactor, self._host, self._port, wait)
        connected: Deferred[Protocol] = connectProtocol(endpoint, protocol)
        return connected

    def _explain(self, failure: Failure) -> ServerAnswer:
        match failure.value:
            case NoAnswer() as error:
                words: str = SERVER_TROUBLE(server=self.name, why=error)
            case ServerRefused() as error:
                says = CLASSIC_ID_TAKEN if error.status == ID_TAKEN else SERVER_SAYS_NO
                raise ServerRefused(says(why=error.sentence), error.status) from None
            case ConnectError() | OSError() | ValueError() as error:
                words = why_unreached(error, self.name)
            case _:
                failure.raiseException()
        raise ServerUnreachable(words)


class _Request:
    """Request over at most two connections, with a timeout for every wait."""

    def __init__(
        self,
        reactor: IReactorTime,
        limits: ClientLimits,
        data: bytes,
        connect: Callable[[Protocol], Deferred[Protocol]],
    ) -> None:
        self.asked: Deferred[ServerAnswer] = Deferred(self._cancelled)
        self.unknown = False  # not in the assignment: some servers close or exit on it
        self.limits = limits
        self._data = data
        self._connect = connect
        self._tries = 0
        self._ended = False
        self._exchange: AnswerConnection | None = None
        self._connecting: Deferred[Any] | None = None
        self.timers = Timers(reactor)
        self.timers.after("answer", ANSWER_WAIT, self._too_late)
        self._try()

    def done(self, answer: ServerAnswer) -> None:
        """Pass the answer to the caller, once."""
        if self._end():
            self.asked.callback(answer)

    def failed(self, error: Exception | Failure) -> None:
        """Pass the failure to the caller, once."""
        if self._end():
            self.asked.errback(error)

    def empty(self) -> None:
        """The connection ended without an answer: try one more."""
        if self.unknown:
            self.failed(NoAnswer("closed the connection at INFO, it has no list of clients"))
        elif self._tries > 1:
            self.failed(NoAnswer("closed the connection without an answer"))
        else:
            self.timers.after("again", ANSWER_SILENCE, self._try)

    def _try(self) -> None:
        self._tries += 1
        self._exchange = AnswerConnection(self, self._data)
        self._connecting = self._connect(self._exchange)
        self._connecting.addCallbacks(self._connected, self.failed)

    def _connected(self, _: Protocol) -> None:
        self._connecting = None

    def _cancelled(self, _: Deferred[ServerAnswer]) -> None:
        self._end()

    def _too_late(self) -> None:
        if self._connecting is None and self.unknown:
            self.failed(NoAnswer("does not answer INFO, it has no list of clients"))
        elif self._connecting is None:
            self.failed(NoAnswer("does not answer, check that it is a chat server"))
        else:
            self.failed(NoAnswer("cannot be reached (no answer)"))

    def _end(self) -> bool:
        """Close and cancel everything; return False if that was done before."""
        if self._ended:
            return False
        self._ended = True
        self.timers.stop()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        return True


class AnswerConnection(TextConnection):
    """Connection of one request to a classic server: send it and read the answer.

    An answer of more than `limits.body_from_server` bytes is an error.
    """

    def __init__(self, request: _Request, data: bytes) -> None:
        self.MAX_LENGTH = request.limits.body_from_server
        self._request = request
        self._data = data
        self._lines: list[bytes] = []
        self._size = 0  # bytes received
        self._closed = False

    def close(self) -> None:
        """Close the connection, and ignore further input."""
        self._closed = True
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionMade(self) -> None:
        """Send the request, and repeat it if no answer arrives within `ANSWER_REPEAT`."""
        if self._closed:
            self.close()
            return
        self._write()
        self._request.timers.after("repeat", ANSWER_REPEAT, self._write)

    def dataReceived(self, data: bytes) -> None:
        """Read the lines of the answer; silence can end it too."""
        if self._closed:
            return
        self._request.timers.cancel("repeat")
        self._size += len(data)
        super().dataReceived(data)
        if self._size > self.MAX_LENGTH and not self._closed:
            self.lineLengthExceeded(b"")
        self._look(ended=False)
        if not self._closed:
            silence = ANSWER_SILENCE
            self._request.timers.after("silence", silence, lambda: self._look(ended=True))

    def lineReceived(self, line: bytes) -> None:
        """Store one line of the answer."""
        self._lines.append(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Give up on an answer that is too long."""
        self._request.failed(NoAnswer("sends an answer without end"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._closed:
            return
        self._request.timers.cancel("repeat", "silence")
        self._look(ended=True)
        if not self._closed:
            self._closed = True
            self._request.empty()

    def _write(self) -> None:
        assert self.transport is not None
        self.transport.write(self._data)

    def _look(self, ended: bool) -> None:
        if self._closed:
            return
        try:
            answer = read_answer([*self._lines, self._buffer], ended)
        except NoAnswer as error:
            self._request.failed(error)
            return
        if answer is not None:
            self._request.done(answer)
