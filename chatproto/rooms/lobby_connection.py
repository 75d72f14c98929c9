"""Connection to the lobby's port: raw text in, lines out."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.net.fast_tcp import write_to_all
from chatproto.net.receivers import TextConnection
from chatproto.rooms.raw_text import BareText
from chatproto.rooms.speaker_limiter import SpeakerLimiter
from chatproto.wire.errors import RemoteError
from chatproto.wire.padding import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from chatproto.rooms.lobby_port import LobbyPort

_TLS_CLIENT_HELLO = b"\x16\x03"
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/\d")


@implementer(IHalfCloseableProtocol, IPushProducer)
class LobbyConnection(TextConnection):
    """Connection of one raw-text member.

    Output is collected for one turn of the reactor, one message per line; the last one has no line end
    if the member sends without. More than `limits.unsent` queued bytes end the connection. Messages above
    the rate limit are read later.
    """

    def __init__(self, port: LobbyPort, host: str) -> None:
        self.host = host
        self.number = 0
        self._port = port
        self._text = BareText(port.limits.body_to_server)
        self._limiter = SpeakerLimiter(port.limits)
        self._first = True
        self._over = False  # nothing that comes counts any more
        self._input_ended = False
        self._timer: IDelayedCall | None = None
        self._waiting_for_flood = False
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._ends_lines = True  # what this member sends; so does what it is sent
        self._unended = -inf  # when a line without its end was sent
        self._full = False  # the transport takes no more just now

    # What Twisted calls.

    def connectionMade(self) -> None:
        self.setRawMode()  # only silence ends the messages of many members
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._port.joined(self)

    def rawDataReceived(self, data: bytes) -> None:
        if self._over:
            return
        if self._first and data.startswith(_TLS_CLIENT_HELLO):
            self._port.left(self, "")
            self.close()
            return
        if self._timer is not None:
            self._stop_timer()
        self._text.feed(data)
        self._read()

    def readConnectionLost(self) -> None:
        self._input_ended = True
        if self._over:
            self.transport.loseConnection()
        elif not self._waiting_for_flood:
            self._stop_timer()
            self._read()

    def writeConnectionLost(self) -> None:
        """Only we close our side alone, and we do not."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        self._stop_timer()
        self._port.lost(self)

    def pauseProducing(self) -> None:
        """The transport takes no more: what comes now waits here."""
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        if not self._ends_lines:
            self._unended = self._port.clock.seconds()  # what was sent is on its way only now
        self.flush()

    def stopProducing(self) -> None:
        """The connection is going: `connectionLost` follows."""

    # What the port calls.

    def give(self, lines: bytes) -> None:
        """Send `lines`, each with its end, now, after what was gathered before.

        A member for whom too much waits is dropped.
        """
        if self._full:
            if not self.add(lines[:-1]):
                self._port.drop(self)
            return
        if self._out_bytes:
            self.flush()
        if self._ends_lines and self._unended == -inf:
            self.transport.write(lines)
        else:
            self._write_unended(lines)

    def add(self, line: bytes) -> bool:
        """Have `line` sent at the end of this turn; false if too much waits already."""
        if self._out_bytes + len(line) >= self._port.limits.unsent:
            if self._full:
                return False
            self.flush()  # much in one turn is not this member's fault
        self._out_bytes += len(line) + 1
        if not self._out:
            self._port.flush_later(self)
        self._out.append(line)
        return True

    def flush(self) -> None:
        """Send what was gathered, if the transport takes it."""
        if self._full or not self._out:
            return
        out, self._out, self._out_bytes = self._out, [], 0
        out.append(b"")
        self.give(b"\n".join(out))

    def close(self) -> None:
        """Close when all is sent and the member has closed too, or after `farewell_wait`.

        A full close at once could overtake the last line with a reset.
        """
        self._over = True
        self._stop_timer()
        self._full = False
        self.flush()
        self.transport.unregisterProducer()
        self._later(self._port.limits.farewell_wait, self.transport.abortConnection)
        if self._input_ended:
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
            if self._waiting_for_flood:
                self.transport.resumeProducing()

    def abort(self) -> None:
        """Close at once and forget what waits."""
        self._over = True
        self._stop_timer()
        self._out = []
        self.transport.abortConnection()

    # Our own.

    def _write_unended(self, lines: bytes) -> None:
        """Send `lines` to a member that sends without line ends: the last one without its own.

        If more follows within `frame_gap`, it starts with a line end, because both may arrive together.
        """
        now = self._port.clock.seconds()
        if now - self._unended < self._port.limits.frame_gap:
            lines = b"\n" + lines
        self._unended = -inf if self._ends_lines else now
        self.transport.write(lines if self._ends_lines else lines[:-1])

    def _read(self) -> None:
        """Hand over the messages that are there, as fast as this member may talk."""
        now = self._port.clock.seconds()
        text: str | None = ""
        while text is not None and not self._over and self._text.unfinished:
            wait = self._limiter.wait(now)
            if wait > 0:
                self._wait_for_flood(wait)
                return
            try:
                text = self._text.take()
            except RemoteError as error:
                self._port.refused(self, error)
                return
            if text is not None:
                self._ends_lines = self._text.line_ends is not False
                self._say(text, now)
        if self._over:
            return
        if self._input_ended:
            self._end()
        elif text is None and self._text.unfinished:
            self._later(self._port.limits.text_silence, self._silence)

    def _say(self, text: str, now: float) -> None:
        if self._first:
            if _HTTP_REQUEST.match(text):
                self._port.left(self, "")
                self.close()
                return
            self._first = False
            text = text.removeprefix(BYTE_ORDER_MARK)
            if not text:
                return
        self._limiter.spend(now, len(text.encode()))
        self._port.said(self, text)

    def _wait_for_flood(self, seconds: float) -> None:
        self._waiting_for_flood = True
        self.transport.pauseProducing()
        self._later(seconds, self._flood_over)

    def _flood_over(self) -> None:
        self._timer = None
        self._waiting_for_flood = False
        self._read()
        if not self._waiting_for_flood and not self._over:
            self.transport.resumeProducing()

    def _silence(self) -> None:
        self._timer = None
        if self._text.settle():
            self._read()
            return
        text = self._text.finish()
        if text is not None:
            self._ends_lines = False
            self._say(text, self._port.clock.seconds())

    def _end(self) -> None:
        if self._text.settle():
            self._read()  # and come back
            return
        self._silence()
        if not self._over:
            self._port.left(self, "")
            self.close()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._port.clock.callLater(seconds, action)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def give_all(members: list[LobbyConnection], lines: bytes) -> None:
    """Send `lines` to each of `members`, as `LobbyConnection.give` does."""
    free = []
    for member in members:
        if member._full or member._out_bytes or member._unended != -inf or not member._ends_lines:
            member.give(lines)
        else:
            free.append(member.transport)
    write_to_all(free, lines)
