"""Connection to a client that speaks BCP/2 inside TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from chatproto.directory.registrations import ClientConnection
from chatproto.net.fast_tls import write_at_once
from chatproto.net.tls_connection import TlsConnection
from chatproto.rooms.guard import SpeakerLimiter
from chatproto.server.room_side import REQUESTS
from chatproto.server.terminal_lines import terminal_lines
from chatproto.server.work_queue import PIECE, Use
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping
from chatproto.wire.bcp2_server import Login, Register
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import host_port
from chatproto.wire.limits import ServerLimits
from chatproto.wire.strict import encode, shown

if TYPE_CHECKING:
    from chatproto.server.factory import ChatFactory
    from chatproto.server.secure_side import SecureSide

Tell = Callable[[str], None]
RECORD_HEAD = 5
"""Bytes before a TLS record: its type, a version and, in the last two, its length (RFC 8446, 5.1)."""
ANSWERS_AT_ONCE = 32 * 1024
"""Bytes of answers that are collected before they are written."""


class Pace:
    """Rate limit of one connection: a message above it is delayed, with everything behind it.

    `go_on` is called when reading may resume.
    """

    def __init__(
        self, clock: IReactorTime, limits: ServerLimits, go_on: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._go_on = go_on
        self._limiter: SpeakerLimiter | None = None
        self._timer: IDelayedCall | None = None
        self.waiting = False
        """True while reading is paused by the rate limit."""

    def allows(self, message: object, now: float) -> bool:
        """Return True if `message` may be answered now, and count it; otherwise set `waiting`."""
        if not isinstance(message, bcp2_rooms.Say):
            return True
        if self._limiter is None:
            self._limiter = SpeakerLimiter(self._limits)
        wait = self._limiter.wait(now)
        if wait > 0:
            self._timer = self._clock.callLater(wait, self._waited)
            self.waiting = True
            return False
        self._limiter.spend(now, len(message.text.encode()))
        return True

    def stop(self) -> None:
        """Cancel the timer: the connection has ended."""
        timer, self._timer = self._timer, None
        self.waiting = False
        if timer is not None:
            timer.cancel()

    def _waited(self) -> None:
        self._timer = None
        self.waiting = False
        self._go_on()


def _dropped(data: bytes) -> None:
    """Drop `data`: the connection has ended."""


class SecureConnection(TlsConnection):
    """Connection that began with a TLS ClientHello.

    Requests are read only while the client reads the answers. Pushes are sent in any case; above
    `limits.unsent` queued bytes the connection is closed.

    Args: port: factory that accepted it. side: shared state of all such connections. host, number: the
    client's address and port. local: the client is on this machine. use: the time that it has used.
    """

    # Attributes that every connection sets. Without slots there would be more than 30, and Python would
    # use a dictionary of 1.6 KB for each connection.
    __slots__ = (
        "_answers", "_begun", "_factory", "_gathered", "_heard", "_input", "_local", "_side",
        "_unanswered", "_unsent", "_write", "host", "port", "use",
    )  # fmt: skip
    _limits: ServerLimits

    _client: ClientConnection | None = None
    _pinged = False
    _logging_in = False  # a password is being checked; later requests are queued
    _pace: Pace | None = None  # None until it is established, or without rooms
    _unread = False  # reading from the transport is paused
    _why_lost = ""
    greeted = False  # the client has sent a whole ClientHello
    came = 0  # sequence number of the connection

    def __init__(
        self, port: ChatFactory, side: SecureSide, host: str, number: int, local: bool, use: Use
    ) -> None:
        super().__init__(Sender.CLIENT, side.tls.handshake(lambda key: None), port.limits)
        self.host = host
        self.port = number
        self.use = use
        self._factory = port
        self._side = side
        self._local = local
        self._heard = port.seconds()
        self._begun = 0.0
        self._unsent = 0
        self._unanswered: list[Bcp2Message | RemoteError] = []  # at most those of one PIECE
        self._input = b""  # data received so far that is not decoded yet
        self._write: Callable[[bytes], object] = _dropped
        self._answers: list[bytes] | None = None  # answers of one turn, written together
        self._gathered = 0

    # Called by Twisted.

    def start(self, transport: Any, data: bytes) -> None:
        """Start TLS with `data`; set `greeted` if the first record, the ClientHello, is whole."""
        self.greeted = len(data) >= RECORD_HEAD and len(data) >= RECORD_HEAD + int.from_bytes(
            data[3:RECORD_HEAD]
        )
        super().start(transport, data)

    def established(self) -> None:
        self._client = ClientConnection(
            self.key,
            self.host,
            self.port,
            self._local,
            number=self.came,
            since=self._factory.seconds(),
        )
        self._side.connections[self._client] = self
        self._factory.proved(self)
        self._heard = self._factory.seconds()
        self._limit_handshake()
        if self._side.delivery is not None:
            self._pace = Pace(self._factory.clock, self._limits, self._waited)
        if not self._side.logins.admits(self._client):
            self.dismiss(Error(403))

    def dataReceived(self, data: bytes) -> None:
        if self._client is None or self._leaving:
            return
        self._heard, self._pinged = self._factory.seconds(), False
        self._input = self._input + data if self._input else data
        self._factory.turns.ask(self)
        if self._leaving or self._unread:
            return
        if self._input or (self._unanswered and self._is_busy()):
            self._pause_reading()  # not earlier: a paused transport does not notice its end

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._leaving = True
        client, self._client = self._client, None
        self._write = _dropped
        self._free(reason)
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.stop()
        if client is not None and self._side.shared is not None:
            del self._side.connections[client]
            self._side.shared.connection_lost(client, self._why_lost)
        elif client is not None:
            if self._side.rooms is not None:
                self._side.rooms.lost(client, self._why_lost)
            del self._side.connections[client]
            self._side.directory.lost(client, self._factory.seconds())
        self._factory.lost(self)

    def pauseProducing(self) -> None:
        """Pause reading, and count the bytes pushed from now on: the buffer of the transport is full."""
        super().pauseProducing()
        self._unsent = 0
        self._pause_reading()

    def resumeProducing(self) -> None:
        """Resume answering requests: the buffer of the transport has room."""
        super().resumeProducing()
        self.resume()

    # Called by the server.

    def say(self, message: Bcp2Message) -> None:
        """Send `message`."""
        if self._leaving:
            return
        trace, counters = self._factory.trace, self._factory.counters
        if counters is not None and isinstance(message, Error):
            counters.errors["bcp2", message.status] += 1
        if trace is not None:
            trace(f"{host_port(self.host, self.port)} <- {shown(message)}")
        self.send(encode(message))

    def send(self, data: bytes) -> None:
        """Send `data`, whole messages; abort the connection above `limits.unsent` queued bytes."""
        if self._leaving:
            return
        if not self._writable:
            self._unsent += len(data)
            if self._unsent > self._limits.unsent:
                self._why_lost = "did not read what was sent"
                self._abort()
                return
        if self._answers is None:
            self._write(data)
            return
        self._answers.append(data)
        self._gathered += len(data)
        if self._gathered > ANSWERS_AT_ONCE:
            self._write_answers()

    def _write_answers(self) -> None:
        answers, self._answers = self._answers, None
        self._gathered = 0
        if answers:
            self._write(b"".join(answers))

    def dismiss(self, message: Bcp2Message) -> None:
        """Send `message` and close."""
        self.say(message)
        self._close()

    def close(self) -> None:
        """Close when all output is sent."""
        self._close()

    def too_late(self) -> None:
        """Handle a deadline: of the handshake, an unfinished message, a silence or a close."""
        now, limits = self._factory.seconds(), self._limits
        if self._leaving or self._client is None:
            self._abort()
            return
        if self._has_work or (self._pace is not None and self._pace.waiting):
            self._factory.watch(self, now + limits.ping_wait)  # reading is paused
            return
        silent = now < self._heard + limits.gone_wait and not self.unfinished
        if silent and self._begun and not self._pinged:
            self._pinged = True
            self.say(Ping())
            self._factory.watch(self, self._heard + limits.gone_wait)
        else:
            self.dismiss(Error(408))

    def refuse(self, status: int) -> None:
        """Send ERROR with `status`, and close."""
        self.dismiss(Error(status))

    # Requests.

    def take_turn(self, over: Callable[[], bool]) -> bool:
        """Answer queued requests while the client reads the answers; see `SlicedWork`."""
        if self._leaving or self._client is None:
            return False
        now, waited, decoded = self._factory.turns.looked, self.unfinished, False
        pace = self._pace
        while (self._unanswered or self._input) and not self._is_busy():
            if not self._unanswered:
                piece, self._input = self._input[:PIECE], self._input[PIECE:]
                self._unanswered += self.read(piece)
                decoded = decoded or bool(self._unanswered)
                continue
            if pace is not None and not pace.allows(self._unanswered[0], now):
                self._pause_reading()
                break
            if self._answers is None:
                self._answers = []
            self._take(self._unanswered.pop(0), now)
            if (self._unanswered or self._input) and over():
                break
        self._write_answers()
        if self._leaving:
            return False
        if decoded:
            self._factory.spoke(self)
        if self.unreadable and not self._has_work and not self._waits(None):
            self._close()
            return False
        unfinished = self.unfinished
        if unfinished != waited or decoded:
            self._begun = now
        self._factory.watch(self, self._deadline(unfinished))
        if self._is_busy():
            return False
        if self._unanswered or self._input:
            return True
        if self._unread:
            self._read_on()
        return False

    @property
    def _has_work(self) -> bool:
        return bool(self._unanswered or self._input)

    def failed(self) -> None:
        """Abort the connection."""
        self._abort()

    def _is_busy(self) -> bool:
        """Return True if the next request has to wait."""
        if not self._writable or self._leaving or self._logging_in:
            return True
        if self._unanswered and self._waits(self._unanswered[0]):
            return True
        return self._pace is not None and self._pace.waiting

    def _waits(self, message: object) -> bool:
        """Return True if `message`, or None for the end, must wait for answers to earlier requests."""
        shared, client = self._side.shared, self._client
        if self._logging_in or shared is None or client is None:
            return self._logging_in
        return shared.holds(client, message, self)

    def _read_on(self) -> None:
        if self._unread and not self._has_work and not self._is_busy():
            self._unread = False
            self.transport.resumeProducing()

    def _pause_reading(self) -> None:
        self._unread = True
        self.transport.pauseProducing()

    def _waited(self) -> None:
        """Resume reading after the rate limit; restart the deadlines, as nothing was read meanwhile."""
        self._heard = self._begun = self._factory.seconds()
        self._factory.watch(self, self._deadline(self.unfinished))
        self.resume()

    def _take(self, message: Bcp2Message | RemoteError, now: float) -> None:
        assert self._client is not None
        trace, counters = self._factory.trace, self._factory.counters
        if counters is not None:
            counters.count_request("bcp2", message)
        if isinstance(message, RemoteError):
            self.say(Error(message.status, message.cseq))
            return
        if trace is not None:
            trace(f"{host_port(self.host, self.port)} -> {shown(message)}")
        logins = self._side.logins
        refusal = logins.refusal(message, self._client)
        if refusal is not None:
            self.say(refusal)
            return
        if isinstance(message, Login) and logins.has_accounts:
            self._logging_in = True
            asked = logins.login(message, self._client, self._is_here, self._side.owns)
            answered = Deferred.fromCoroutine(asked).addCallback(self._logged_in)
            if self._logging_in:  # else it was answered at once, and `take_turn` continues
                answered.addCallback(self._go_on_after)
            return
        if self._side.shared is not None:
            self._side.shared.take(message, self._client)
            return
        rooms = self._side.rooms
        if rooms is not None and message.__class__ in REQUESTS:
            self._side.directory.uses(self._client, now)
            rooms.answer(message, self._client, now)
            return
        if rooms is not None:
            rooms.answered(self._client)
        effects = self._side.directory.answer(message, self._client, now)
        self._side.apply(effects)
        if rooms is not None and isinstance(message, Register):
            rooms.follow(self._client)
        if self._factory.say is not None:
            for line in terminal_lines(effects, self._client):
                self._factory.say(line)

    def _is_here(self) -> bool:
        return not self._leaving

    def _logged_in(self, answer: Bcp2Message | None) -> None:
        """Send the `answer` to LOGIN; None if it is no longer needed."""
        self._logging_in = False
        if answer is not None:
            self.say(answer)

    def _go_on_after(self, _: None) -> None:
        """Resume with the requests behind LOGIN."""
        self.resume()

    def resume(self) -> None:
        """Resume answering queued requests."""
        if not self._leaving:
            self._factory.turns.ask(self)

    def _deadline(self, unfinished: str) -> float:
        """Return the deadline of the part of a message that is `unfinished`, or of the silence."""
        limits = self._limits
        if not unfinished:
            return self._heard + limits.ping_wait
        if unfinished == "block":
            return self._begun + limits.tls_block_wait
        return self._heard + limits.body_pause

    def _begin_tls(self, normal: bool = True) -> None:
        self._limit_handshake()
        self.transport.startTLS(self._handshake, normal)
        self._layer = self.transport.protocol
        self._write = write_at_once(self._layer, self.transport)

    def _limit_handshake(self) -> None:
        self._factory.watch(self, self._heard + self._limits.handshake_wait)

    def _limit_close(self) -> None:
        self._factory.watch(self, self._factory.seconds() + self._limits.farewell_wait)

    def _close(self) -> None:
        """Close when the answers are sent, or after `farewell_wait`; read on, to notice the end."""
        if self._leaving:
            return
        self._write_answers()
        self._input = b""
        self._unanswered.clear()
        if self._unread:
            self._unread = False
            self.transport.resumeProducing()
        super()._close()
