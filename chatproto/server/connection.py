"""Serve one connection to the server's port in the classic dialect.

Bytes are passed to the decoder and messages to the directory. The answers to one chunk are sent in one write.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.directory.answers import register_line
from chatproto.directory.classic_registration import Origin
from chatproto.net.addresses import is_loopback
from chatproto.net.receivers import TextConnection
from chatproto.net.sniff import FirstBytes, hand_over, sniff
from chatproto.relay.protocol import RelayConnection
from chatproto.server.work_queue import PIECE, Use
from chatproto.wire import fast
from chatproto.wire.classic import ClassicError, ClassicRegAck, ClassicRegister, Message, Sender
from chatproto.wire.codec import ClassicParser, encode, encode_text, shown
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import host_port, plain_host
from chatproto.wire.limits import Limits
from chatproto.wire.plain_blocks import TO_SERVER

if TYPE_CHECKING:
    from chatproto.server.factory import ChatFactory

Tell = Callable[[str], None]
Answers = list[tuple[Message | RemoteError, Message]]
"""Requests, each with its answer."""
LOOK = 512
"""Characters of answers between two checks whether the slice of time is used up."""


class ClassicReceiver(TextConnection):
    """Read the classic messages of `sender` from the lines of one connection.

    `quick`: canonical requests may be parsed from a chunk in one step; pass `fast.fits(limits)`.
    """

    _made: ClassicParser | None = None  # made at the first input that is not canonical
    _has_taken = False  # a canonical request was received

    def __init__(self, limits: Limits, sender: Sender = Sender.CLIENT, quick: bool = False) -> None:
        self._limits, self._sender = limits, sender
        self._quick = quick and sender is Sender.CLIENT

    @property
    def _parser(self) -> ClassicParser:
        if self._made is None:
            self._made = ClassicParser(self._limits, self._sender)
            # The parser checks limits.line itself, since padding does not count. This is more than
            # it allows, and more than any chunk.
            self.MAX_LENGTH = self._limits.line + self._limits.unsent
        return self._made

    def read(self, data: bytes) -> list[Message | RemoteError]:
        """Return the messages that `data` completes; a malformed one is a RemoteError."""
        found: list[Message | RemoteError] = []
        if self._quick and not self._buffer and (self._made is None or self._made.between):
            taken = fast.take_requests(data, found)
            if taken:
                self._has_taken = True
                data = data[taken:]
        if data:
            parser = self._parser
            parser.begun = parser.begun or self._has_taken
            parser.found = found
            TextConnection.dataReceived(self, data)
        return found

    def finish(self) -> list[Message | RemoteError]:
        """Return the message that is complete at the end of input, if any; see `ClassicParser`."""
        parser = self._parser
        parser.found = []
        parser.finish(self.clearLineBuffer())
        return parser.found

    @property
    def has_begun(self) -> bool:
        """True if there was input that was not canonical, so that `finish` may find a message."""
        return self._made is not None

    @property
    def pending(self) -> int:
        """Number of lines of the block that has begun, the unfinished one included."""
        return self._made.pending(self._buffer) if self._made is not None else 0

    @property
    def unfinished(self) -> bool:
        """True if a REGISTER or BRIDGE lacks only its empty line."""
        return self._made is not None and self._made.unfinished(self._buffer) is not None

    @property
    def unreadable(self) -> bool:
        """True after input that cannot be read further."""
        return self._made is not None and self._made.closed

    def lineReceived(self, line: bytes) -> None:
        """Take one line of a block."""
        self._parser.line(line)

    def unfinishedLine(self, rest: bytes) -> bytes:
        """Check the beginning of a line, and drop padding."""
        return self._parser.begin_line(rest)


@implementer(IHalfCloseableProtocol)
class ChatConnection(ClassicReceiver):
    """Connection of a client that speaks the classic dialect; the client closes it.

    Reading pauses while more than `limits.unsent` bytes of answers are queued. `source`: its origin, if the
    factory has answered a registration on it already; None if nothing was received yet.
    """

    factory: ChatFactory
    _held = b""  # first bytes, until they are recognised as text, TLS or RELAY
    _produces = False  # registered with the transport as its producer
    _ended = False  # the client has closed its side
    _leaving = False  # the last answer was written
    _lines = 0  # value of `pending` at its last change
    _line_since = 0.0
    came = 0  # sequence number of the connection
    greeted = False  # never true here; see SecureConnection
    _block_since = 0.0
    _hello = b""  # first bytes of TLS, until its turn in the work queue
    _input = b""  # data received so far that is not decoded yet
    _unread = False  # reading from the transport is paused
    _full = False  # the buffer of the transport is full
    _asked = False  # the shared directory has not answered yet

    def __init__(
        self, factory: ChatFactory, host: str, port: int, source: Origin | None = None
    ) -> None:
        super().__init__(factory.limits, quick=factory.quick)
        self._source = source  # set by the first bytes
        self._registered = source is not None  # a registration was accepted on it
        self.factory = factory
        self.host = host
        self.port = port
        self._unanswered: list[Message | RemoteError] = []

    def dataReceived(self, data: bytes) -> None:
        """Answer `data` at once if it is short and no work is queued; else queue it."""
        if self._leaving:
            return
        if self._source is None:
            data = self._held + data
            is_plain = data.startswith(fast.STARTS)
            if not (self._begin_plain() if is_plain else self._begin(data)):
                return
        turns = self.factory.turns
        if turns.is_free and len(data) <= PIECE and not self._unread:
            begun = turns.begin()
            messages = self.read(data)
            if messages and self._answer(messages, begun):
                turns.later(self)
            if self._made is not None and (self._lines or self.pending):
                self._watch(bool(messages))
            if turns.looked > begun:
                turns.end(self, begun)
            if not self._unanswered:
                return
        else:
            self._input += data
            turns.ask(self)
        if self._has_work and not self._unread:
            self._stop_reading()

    # Answers, a slice at a time.

    @property
    def _has_work(self) -> bool:
        return bool(self._input or self._unanswered)

    def take_turn(self, over: Callable[[], bool]) -> bool:
        """Answer queued requests while the client reads the answers; see `SlicedWork`."""
        if self._hello:
            self._begin_tls()
            return False
        answered = False
        while not (self._leaving or self._full or self._asked):
            if self._unanswered:
                messages, self._unanswered = self._unanswered, []
            elif self._input:
                piece, self._input = self._input[:PIECE], self._input[PIECE:]
                messages = self.read(piece)
            else:
                break
            if messages:
                answered = True
                if self._answer(messages, self.factory.seconds()):
                    break  # the slice is used up, or the answer is long: let others work
            if self._input and over():
                break
        if self._leaving:
            return False
        if self.pending or self._lines:
            self._watch(answered)
        if self._full or self._asked:
            return False
        if self._input or self._unanswered:
            return True
        if self._ended:
            self._end()
        else:
            self._go_on_reading()
        return False

    def _begin(self, data: bytes) -> bool:
        """Examine the first bytes; return True if they are plain text that is allowed here."""
        secure, relay = self.factory.secure, self.factory.relay
        match sniff(data, TO_SERVER if relay is not None else ()):
            case FirstBytes.TEXT:
                return self._begin_plain()
            case FirstBytes.TLS if secure is not None:
                self._hello = data
                self.factory.turns.ask(self)
                if self._hello:
                    self._stop_reading()
                return False
            case FirstBytes.TLS:
                self.close()
                return False
            case FirstBytes.BLOCK if relay is not None:
                self._become(RelayConnection(relay, self.factory, self.host, self.port), data)
                return False
            case FirstBytes.UNDECIDED:
                self._held = data
                self.factory.watch(self, self.factory.seconds() + self.factory.limits.line_wait)
        return False

    def _begin_tls(self) -> None:
        """Hand the connection over to TLS; queued, since a handshake takes as long as a hundred requests."""
        data, self._hello = self._hello, b""
        secure = self.factory.secure
        if self._leaving or secure is None:
            return
        self._go_on_reading()
        self.factory.replace(self, secure.begin(self, data))

    def _become(self, other: RelayConnection, data: bytes) -> None:
        """Hand the connection, which began with `data`, over to `other`."""
        transport, self.transport = self.transport, None
        self.factory.replace(self, other)
        hand_over(transport, other, data)

    def _begin_plain(self) -> bool:
        """Continue in plain text; return False if the server refuses it."""
        if self._held:
            self.factory.wheel.discard(self)
        if self.factory.tls_only:
            self.refuse(403)
            return False
        self._source = source = Origin(self.host, self.port, is_loopback(self.host))
        if not source.local:  # finding the own address takes a system call
            source.see_own(plain_host(getattr(self.transport.getHost(), "host", "")))
        return True

    def _answer(self, messages: list[Message | RemoteError], now: float) -> bool:
        """Answer `messages` in order in one write, until the slice of time or `limits.unsent` is used up.

        Returns: True if that ended the turn; the rest is in `_unanswered`.
        """
        factory, source = self.factory, self._source
        assert source is not None
        if factory.shared is not None:
            factory.spoke(self, self._registered)
            self._asked = True
            if not self._unread:
                self._stop_reading()
            factory.shared.take_plain(self, messages)
            return False
        say, trace, most = factory.say, factory.trace, factory.limits.unsent
        answer, counters, is_over = (
            factory.directory.answer,
            factory.counters,
            factory.turns.is_over,
        )
        out: list[str] = []
        size, look = 0, LOOK
        registered = self._registered
        confirm, register = factory.directory.registry.confirm, factory.directory.register
        quick = counters is None and trace is None  # no counter or trace needs the answer
        for message in messages:
            if (
                quick
                and message.__class__ is ClassicRegister
                and (confirm(message, source, now) or register(message, source, now))
            ):
                registered = True
                text = fast.write_confirmation(message)
                if say is not None:
                    say(register_line(message))
            else:
                if isinstance(message, RemoteError):
                    reply: Message = ClassicError(message.status)
                else:
                    reply = answer(message, source, now)
                    if say is not None:
                        line = factory.directory.line(message, reply, source)
                        if line is not None:
                            say(line)
                if reply.__class__ is ClassicRegAck:
                    registered = True
                if counters is not None:
                    counters.answered("classic", message, reply)
                if trace is not None:
                    self._trace(trace, message, reply)
                text = encode_text(reply)
            out.append(text)
            size += len(text)
            if size > look:
                look = size + LOOK
                if size > most or is_over():
                    break
        if not self._registered:
            self._registered = registered
            factory.spoke(self, registered)
        self._write("".join(out).encode())
        if len(out) < len(messages):
            self._unanswered = messages[len(out) :] + self._unanswered
            return True
        if self._made is not None and self.unreadable:
            self._leave()
        return False

    @property
    def source(self) -> Origin:
        """Origin of its requests; set by its first bytes."""
        assert self._source is not None
        return self._source

    def answered(self, answers: Answers) -> None:
        """Send the answers of a shared directory to the requests of one chunk."""
        self._asked = False
        if self._leaving:
            return
        for message, reply in answers:
            if reply.__class__ is ClassicRegAck and not self._registered:
                self._registered = True
                self.factory.spoke(self, True)
            if self.factory.counters is not None:
                self.factory.counters.answered("classic", message, reply)
            if self.factory.trace is not None:
                self._trace(self.factory.trace, message, reply)
        self._write("".join(encode_text(reply) for _, reply in answers).encode())
        if self.unreadable:
            self._leave()
        else:
            self.factory.turns.later(self)

    def _write(self, data: bytes) -> None:
        """Write answers; register as producer first, to be paused while too much is queued."""
        if not self._produces:
            self._produces = True
            self.transport.registerProducer(self, True)
        self.transport.write(data)

    def pauseProducing(self) -> None:
        """Stop reading and answering: the buffer of the transport is full."""
        self._full = True
        self._stop_reading()

    def _stop_reading(self) -> None:
        """Pause reading from the transport; requests that were read are still answered."""
        self._unread = True
        self.transport.pauseProducing()

    def _go_on_reading(self) -> None:
        if self._unread:
            self._unread = False
            self.transport.resumeProducing()

    def resumeProducing(self) -> None:
        """Resume reading and answering: the written data was sent."""
        self._full = False
        if not self._leaving:
            self.factory.turns.ask(self)

    def stopProducing(self) -> None:
        """Do nothing: `connectionLost` follows."""

    def readConnectionLost(self) -> None:
        """Answer the rest and close: the client has closed its side, and may still read."""
        self._ended = True
        if not (self._unread or self._input or self._unanswered):
            self._end()

    def writeConnectionLost(self) -> None:
        """Do nothing: our side is closed, and the deadline of `_leave` is set."""

    def _end(self) -> None:
        """Answer a message that ends with the input, and close when all answers are sent."""
        if not self._leaving and (self._held or self.has_begun):
            self._finish()
        if self._unanswered:
            self.factory.turns.later(self)
        elif not (self._full or self._asked):
            self.close()

    @cached_property
    def use(self) -> Use:
        """Time that it has used lately; made on demand, since most connections never use enough to count."""
        return Use()

    def failed(self) -> None:
        """Abort the connection."""
        self.transport.abortConnection()

    def close(self) -> None:
        """Close when all output is sent."""
        self._leaving = True
        if self._produces:
            self._unregister()
        self.transport.loseConnection()

    def _unregister(self) -> None:
        """Unregister as producer: the transport would resume a paused producer instead of closing."""
        self._produces = False
        self.transport.unregisterProducer()

    def _finish(self) -> None:
        """Answer the unfinished block as it is, since no more of it will arrive."""
        if self._held and self._source is None and self._begin_plain():
            self.read(self._held)
        messages = self.finish()
        if messages and self._source is not None:
            self._answer(messages, self.factory.turns.begin())

    def _watch(self, new_block: bool) -> None:
        """Set or remove the deadline of the unfinished block."""
        wheel, lines = self.factory.wheel, self.pending
        if self._leaving:
            return
        now = self.factory.seconds()
        if new_block or not self._lines:
            self._block_since = now
        if new_block or lines != self._lines:
            self._line_since = now
        self._lines = lines
        if not lines:
            wheel.discard(self)
            return
        limits = self.factory.limits
        deadline = min(self._line_since + limits.line_wait, self._block_since + limits.block_wait)
        if self.unfinished:
            deadline = min(deadline, self._line_since + limits.unfinished_wait)
        self.factory.watch(self, deadline)

    def too_late(self) -> None:
        """Handle a deadline: abort after the farewell, answer a block without its empty line, or send 408."""
        if self._leaving:
            self.transport.abortConnection()
        elif self._unread or self._has_work:
            self.factory.watch(self, self.factory.seconds() + self.factory.limits.line_wait)
        elif self.unfinished:
            self._lines = 0
            self._finish()
        else:
            self.refuse(408)

    def refuse(self, status: int) -> None:
        """Send ERROR with `status`, and leave."""
        if not self._leaving:
            error = ClassicError(status)
            if self.factory.trace is not None:
                self._trace(self.factory.trace, None, error)
            self.transport.write(encode(error))
            self._leave()

    def _leave(self) -> None:
        """Close our side, and the connection when the client closes too, or after `farewell_wait`.

        A full close at once could overtake the last answer with a reset.
        """
        self._leaving = True
        self._input, self._unanswered = b"", []
        factory = self.factory
        if self._produces:
            self._unregister()
        self._go_on_reading()
        self.transport.loseWriteConnection()
        factory.watch(self, factory.seconds() + factory.limits.farewell_wait)

    def _trace(self, trace: Tell, message: Message | RemoteError | None, reply: Message) -> None:
        where = host_port(self.host, self.port)
        if isinstance(message, RemoteError):
            trace(f"{where} -> ({message.detail.encode('unicode_escape').decode()})")
        elif message is not None:
            trace(f"{where} -> {shown(message)}")
        trace(f"{where} <- {shown(reply)}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._leaving = True
        if self._source is not None:
            self._source.alive = False
        if self.factory.shared is not None:
            self.factory.shared.closed(self)
        self.factory.lost(self)
