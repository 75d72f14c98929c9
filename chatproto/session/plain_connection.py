"""Exchange messages with a peer in plain text: the classic and raw dialects on one connection."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ISystemHandle,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.net.receivers import TextConnection
from chatproto.net.sniff import FirstBytes, sniff
from chatproto.net.timers import Timers
from chatproto.session.effects import Effect, TextWritten
from chatproto.wire.dialects import RAW, Dialect, Me
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import ClientLimits
from chatproto.wire.plain_blocks import TO_PEER, Punch, read_first
from chatproto.wire.reader import Item, PlainMessage, Reader
from chatproto.wire.reasons import NOT_A_CHAT, TOO_MANY_CALLERS, Cause, Reason
from chatproto.wire.values import value_class

GREET_WAIT = 2.0
"""Seconds after which a silent caller is shown to the user."""

PIECE = 1024
"""Most bytes that are read in one turn of the reactor; the rest is read in later turns."""
CORK: int | None = getattr(socket, "TCP_CORK", None)
"""Socket option that delays a segment until it is full or the output ends; only on Linux."""


class PlainConversation(Protocol):
    """Conversation that a connection carries."""

    def apply(self, effects: list[Effect]) -> None:
        """Apply `effects`, in order."""


class PlainPeerOwner(Protocol):
    """Receiver of the events on a connection."""

    def connection_made(self, connection: PlainPeerConnection) -> None:
        """Handle a new connection, dialled or accepted."""

    def connection_hello(self, connection: PlainPeerConnection, data: bytes) -> None:
        """Handle the begin of TLS: `data` is its first part."""

    def connection_punched(self, connection: PlainPeerConnection, call: str, data: bytes) -> None:
        """Handle PUNCH: the peer named the rendezvous `call`; `data` followed it."""

    def items_received(self, connection: PlainPeerConnection, items: list[Item]) -> None:
        """Handle `items` received from the peer."""

    def connection_silent(self, connection: PlainPeerConnection) -> None:
        """Handle a caller that has sent nothing for `GREET_WAIT` seconds."""

    def connection_lost(
        self, connection: PlainPeerConnection, reason: str, unwritten: tuple[str, ...]
    ) -> None:
        """Handle the end of the connection; the messages `unwritten` were never sent."""


@value_class
class _Frame:
    data: bytes
    text: str | None = None


@implementer(IPushProducer)
class _Outflow:
    """Producer that tracks whether the transport accepts more output.

    The connection's own `pauseProducing` pauses its input.
    """

    def __init__(self, resumed: Callable[[], None]) -> None:
        self.open = True
        self._resumed = resumed

    def pauseProducing(self) -> None:
        self.open = False

    def resumeProducing(self) -> None:
        self.open = True
        self._resumed()

    def stopProducing(self) -> None:
        self.open = False


@implementer(IHalfCloseableProtocol)
class PlainPeerConnection(TextConnection):
    """Read and write the bytes of one connection to a peer, and own its timers.

    `dialect` None: the peer called, and its first bytes decide the dialect. Frames never share a segment:
    at least `frame_gap` lies between two, because six programs lose a line otherwise (dialects). None is
    written while the transport's buffer is full because the peer does not read. Input is read in pieces,
    at the rate that `toll` allows.
    """

    key: str | None = None
    """No key is proved in plain text."""
    relayed = both_dialled = False
    """A plain connection is always dialled by one side, directly."""

    def __init__(
        self,
        owner: PlainPeerOwner,
        clock: IReactorTime,
        limits: ClientLimits,
        dialect: Dialect | None,
    ) -> None:
        self.reader = Reader(limits, dialect)
        self.called = dialect is None
        self.heard_any = False
        self.host = ""
        self.port = 0
        self._owner = owner
        self.conversation: PlainConversation | None = None
        """Conversation that it carries; None until that is known."""
        self._limits = limits
        self._frames: deque[_Frame] = deque()
        self._timers = Timers(clock)
        self._assumed: Dialect | None = None
        self._outflow = _Outflow(self._go_on_writing)
        self._leaving = False
        self._lone = False  # made for one frame
        self._farewell = ""
        self._dropped = False
        self._gone = False
        self._reason = ""
        self._first = b""  # first bytes, while they may become a PUNCH
        self._unread = bytearray()  # at most one chunk of the transport
        self._holds: set[str] = set()  # who has paused reading
        self._read_ended = False  # the peer has half-closed
        self.toll: Callable[[int], float] | None = None
        """Charges the cost of messages; returns the seconds for which reading is paused."""

    # Called by the session.

    def write_opener(self, me: Me) -> None:
        """Write the opener with our id."""
        self._queue(_Frame(self._dialect.opener(me)))

    def write_text(self, me: Me, text: str) -> list[Effect]:
        """Write `text`; return the effect that it was written, or nothing if it is queued."""
        return self._queue(_Frame(self._dialect.frame(me, text, self.reader.line_end), text))

    def write_farewell(self, me: Me, word: str) -> None:
        """Write the farewell, half-close after it, and close when the peer has, or after `farewell_wait`."""
        self._leaving = True
        dialect = self._dialect
        word = word or (self._farewell if dialect is RAW else "")
        self._queue(_Frame(dialect.farewell(me, word, self.reader.line_end)))

    def write_last(self, frame: bytes, text: str | None) -> None:
        """Write the one frame that this connection was made for, then half-close and close.

        The FIN shares the segment of the frame: some of these programs bind their port anew for
        each message, which fails if they have closed first.
        """
        self._leaving = self._lone = True
        if CORK is not None and ISystemHandle.providedBy(self.transport):
            handle: Any = self.transport.getHandle()
            handle.setsockopt(socket.IPPROTO_TCP, CORK, 1)
        self._tell_written(self._queue(_Frame(frame, text)))

    def drop(self) -> None:
        """Close without a farewell; unwritten messages are reported when the connection has ended."""
        self._leaving = self._dropped = True
        self._finish()

    def abort(self) -> None:
        """Abort at once: there are too many callers."""
        self._reason = TOO_MANY_CALLERS()
        self._leaving = self._dropped = True
        self.transport.abortConnection()

    def heed(self, farewells: Sequence[str]) -> None:
        """End a raw conversation by any of `farewells` too; the first is our own default farewell."""
        self.reader.farewells = frozenset(word.lower() for word in farewells)
        self._farewell = farewells[0] if farewells else ""

    def hand_over(self) -> Any:
        """Give up the connection to another protocol, and return its transport."""
        self._timers.stop()
        self._gone = True
        transport = self.transport
        transport.unregisterProducer()
        return transport

    def hold(self, held: bool, who: str = "screen") -> None:
        """Pause reading from the peer, or resume, for the reason `who`."""
        before = bool(self._holds)
        if held:
            self._holds.add(who)
        else:
            self._holds.discard(who)
        if self._gone or bool(self._holds) is before:
            return
        if held:
            self.transport.pauseProducing()
            self._timers.cancel("silence", "line", "block")  # we caused this silence
            return
        if not self._read_ended:
            self.transport.resumeProducing()
        self._resume()

    @property
    def backlog(self) -> int:
        """Number of frames that are queued."""
        return len(self._frames)

    def assume(self, dialect: Dialect) -> None:
        """Use `dialect` until the peer's bytes decide another one."""
        self._assumed = dialect

    @property
    def _dialect(self) -> Dialect:
        dialect = self.reader.dialect or self._assumed
        assert dialect is not None  # the session writes only once it is known
        return dialect

    # Called by Twisted.

    def connectionMade(self) -> None:
        self.setRawMode()
        transport = self.transport
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        peer = transport.getPeer()
        self.host, self.port = plain_host(peer.host), peer.port
        transport.registerProducer(self._outflow, True)
        if self.called:
            self._timers.after("greet", GREET_WAIT, self._greet)
        self._owner.connection_made(self)

    def rawDataReceived(self, data: bytes) -> None:
        self._timers.cancel("greet")
        if self._leaving:
            return
        if self.called and not self.heard_any:
            data, self._first = self._first + data, b""
            match sniff(data, TO_PEER):
                case FirstBytes.TLS:
                    self._owner.connection_hello(self, data)
                    return
                case FirstBytes.BLOCK | FirstBytes.UNDECIDED:
                    self._may_punch(data)
                    return
            self._timers.cancel("punch")
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Queue plain-text `data`, and read it piece by piece."""
        self.heard_any = True
        self._unread += data
        if not self._holds:
            self._read_piece()

    def _read_piece(self) -> None:
        """Read one piece now; the rest is read in later turns."""
        piece = bytes(self._unread[:PIECE])
        del self._unread[:PIECE]
        try:
            items = self.reader.feed(piece)
        except RemoteError as error:
            self._fail(error)
            return
        if not self._unread and not self._gone:
            self._await_more()
        self._received(items)
        if self._read_ended and not (self._unread or self._holds or self._leaving or self._gone):
            self._end_reading()

    def _await_more(self) -> None:
        """Set the timers for the next input: silence, the next line, the end of the block."""
        if self.reader.wants_silence:
            self._timers.after("silence", self._limits.text_silence, self._silence)
        else:
            self._timers.cancel("silence")
        self._watch_block()

    def _received(self, items: list[Item]) -> None:
        """Pass `items` to the owner, and pause reading for as long as they cost."""
        if items:
            self._owner.items_received(self, items)
        if self._leaving or self._gone:
            return
        cost = sum(1 + len(item.text) // 1024 for item in items if isinstance(item, PlainMessage))
        wait = self.toll(cost) if self.toll is not None and cost else 0.0
        if wait or self._unread:
            self._rest_for(wait)

    def _rest_for(self, wait: float) -> None:
        """Pause reading for `wait` seconds, then resume with the data received so far."""
        self.hold(True, "pace")
        self._timers.after("pace", wait, self._rested)

    def _rested(self) -> None:
        wait = self.toll(0) if self.toll is not None else 0.0
        if wait:
            self._rest_for(wait)
        else:
            self.hold(False, "pace")

    def _resume(self) -> None:
        """Resume reading, as far as the rate limit allows."""
        if self._leaving:
            return
        if self._unread:
            self._read_piece()
        elif self._read_ended:
            self._end_reading()
        else:
            self._await_more()

    def readConnectionLost(self) -> None:
        self._read_ended = True
        if self._leaving:
            self.transport.loseConnection()
            return
        if self._first:
            self._no_punch()
        if not self._holds:
            self._end_reading()

    def _end_reading(self) -> None:
        """Handle the end of the peer's input."""
        items = self.reader.end()
        if items:
            self._owner.items_received(self, items)
        if not self._leaving:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Ignore the half-close, which is our own."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._gone = True
        self._timers.stop()
        self._end()

    def _end(self) -> None:
        """Report the end, once all data before it was read."""
        if self._unread and not self._leaving:
            self._read_piece()
            self._timers.after("pace", 0, self._end)
            return
        unwritten = tuple(frame.text for frame in self._frames if frame.text is not None)
        self._frames.clear()
        words = self._reason or Cause(Reason.CONNECTION_LOST)
        self._owner.connection_lost(self, words, unwritten)

    # Writing, and the first bytes.

    def _queue(self, frame: _Frame) -> list[Effect]:
        self._timers.cancel("greet")
        if frame.data or frame.text is not None or self._leaving:
            self._frames.append(frame)
        return self._flush()

    def _go_on_writing(self) -> None:
        self._tell_written(self._flush())

    def _tell_written(self, written: list[Effect]) -> None:
        if written and self.conversation is not None:
            self.conversation.apply(written)

    def _flush(self) -> list[Effect]:
        """Write the next frame, if one may be written now; return the effect of it."""
        if self._gone or self._dropped or "gap" in self._timers or not self._outflow.open:
            return []
        if self._frames:
            frame = self._frames.popleft()
            self.transport.write(frame.data)
            if self._lone and not self._frames:
                self._finish()
            else:
                self._timers.after("gap", self._limits.frame_gap, self._go_on_writing)
            return [TextWritten(frame.text)] if frame.text is not None else []
        if self._leaving:
            self._finish()
        return []

    def _finish(self) -> None:
        if self._gone:
            return
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()
        self._timers.after("linger", self._limits.farewell_wait, self.transport.abortConnection)

    def _fail(self, error: RemoteError) -> None:
        self._reason = NOT_A_CHAT(why=error.sentence)
        self._leaving = True
        self._unread.clear()
        if not self._gone:
            self.transport.abortConnection()

    def _watch_block(self) -> None:
        """Set the timeouts for the next line and the end of a block, as on a server's port."""
        if self.reader.pending and not self.reader.wants_silence:
            self._timers.after("line", self._limits.line_wait, self._too_slow)
            if "block" not in self._timers:
                self._timers.after("block", self._limits.block_wait, self._too_slow)
        else:
            self._timers.cancel("line", "block")

    def _may_punch(self, data: bytes) -> None:
        """Handle first bytes that are a PUNCH or may become one; a text may only begin like one."""
        try:
            found = read_first(data, TO_PEER)
        except RemoteError as error:
            self._fail(error)
            return
        if found is not None:
            self._owner.connection_punched(self, found[0].call, found[1])
            return
        self._first = data
        if len(data) <= len(Punch.method):
            self._timers.after("punch", self._limits.text_silence, self._no_punch)
        else:
            self._timers.cancel("punch")
            if "block" not in self._timers:
                self._timers.after("block", self._limits.handshake_wait, self._too_slow)

    def _no_punch(self) -> None:
        self._timers.cancel("punch")
        data, self._first = self._first, b""
        self._read(data)

    def _too_slow(self) -> None:
        self._fail(RemoteError(408))

    def _silence(self) -> None:
        self._received(self.reader.silence())

    def _greet(self) -> None:
        self._owner.connection_silent(self)
