"""Cut the input of a connection into lines, raw data and messages, each chunk once.

`TextConnection` is the base class of the protocols that speak in lines or plain text: the plain chat,
the lobby and the control socket. `StrictReceiver` reads BCP/2 messages, and
`server.connection.ClassicReceiver` classic requests.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.basic import LineReceiver

from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.strict import StrictParser


class TextConnection(LineReceiver):
    """Read lines that end in LF or CRLF, and raw data, from one connection.

    The methods `lineReceived`, `rawDataReceived` and `lineLengthExceeded` are called exactly as
    Twisted's `LineReceiver` calls them, with these differences:

    - With the delimiter LF, a CR before it is removed. `MAX_LENGTH` counts that CR.
    - A chunk is cut in place. Twisted copies the rest of the chunk for each line in it, so that a chunk
      of many short lines costs the square of its size.
    - The return values of the callbacks are ignored. Twisted stops reading at a true one.
    - `unfinishedLine` is called when a chunk ends within a line.
    """

    delimiter = b"\n"
    transport: Any  # a connection of TCP, TLS or a UNIX socket
    _cut = 0  # bytes at the start of `_buffer` that were already passed on

    def dataReceived(self, data: bytes) -> None:
        """Pass on the lines and raw data in `data`, until `pauseProducing` is called."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._busyReceiving:
            return
        self._busyReceiving = True
        try:
            while self._cut < len(self._buffer) and not self.paused:
                if not self.line_mode:
                    self.rawDataReceived(self.clearLineBuffer())
                elif not self._take_line():
                    break
        finally:
            self._buffer, self._cut = self._buffer[self._cut :], 0
            self._busyReceiving = False

    def clearLineBuffer(self) -> bytes:
        """Return the bytes that were not passed on, and remove them."""
        rest = self._buffer[self._cut :]
        self._buffer, self._cut = b"", 0
        return rest

    def leaveRawMode(self, data: bytes, at: int) -> None:
        """Continue with lines, from `data[at:]`; call this within `rawDataReceived`.

        `setLineMode(data[at:])` does the same with a copy of these bytes.
        """
        self.line_mode = 1
        self._buffer, self._cut = data, at

    def unfinishedLine(self, rest: bytes) -> bytes:
        """Return the part to keep of `rest`, the beginning of a line whose end has not arrived.

        A subclass can check the bytes here before the line ends.
        """
        return rest

    def _take_line(self) -> bool:
        """Pass on the next line; return False if there is none or the connection is closing."""
        data, at = self._buffer, self._cut
        end = data.find(self.delimiter, at)
        if end < 0:
            rest = self.unfinishedLine(self.clearLineBuffer())
            if len(rest) >= self.MAX_LENGTH + len(self.delimiter):
                self.lineLengthExceeded(rest)
            else:
                self._buffer = rest
            return False
        if end - at > self.MAX_LENGTH:
            self.lineLengthExceeded(self.clearLineBuffer())
            return False
        self._cut = end + len(self.delimiter)
        line = data[at:end]
        self.lineReceived(line.removesuffix(b"\r") if self.delimiter == b"\n" else line)
        return self.transport is None or not self.transport.disconnecting


class StrictReceiver(TextConnection):
    """Read the BCP/2 messages of `sender`: headers from lines, bodies from raw data.

    A block of headers that is complete in the chunk is read in one step.
    """

    delimiter = b"\r\n"
    _most = 0
    stopped = False
    """True if `read` stopped before the end of its input."""

    def __init__(self, sender: Sender, limits: Limits = DEFAULTS) -> None:
        # The parser itself checks limits.line, since it also counts the block; this is more than it
        # accepts and more than any chunk.
        self.MAX_LENGTH = limits.line + limits.unsent
        self._parser = StrictParser(sender, limits)

    def read(self, data: bytes, most: int = 0) -> list[Bcp2Message | RemoteError]:
        """Return the messages that `data` completes, in order; a malformed one is a RemoteError.

        Args: most: largest number of messages; 0: all. The bytes after the last one are kept, `stopped`
        is true, and the next call continues with them.
        """
        self._most, self.stopped = most, False
        TextConnection.dataReceived(self, data)
        found, self._parser.found = self._parser.found, []
        return found

    @property
    def unfinished(self) -> str:
        """Return the part that has begun and is incomplete: "block", "body" or "" for neither."""
        if self._parser.in_body:
            return "body"
        return "block" if self._buffer or self._parser.in_block else ""

    @property
    def unreadable(self) -> bool:
        """Return True after input that cannot be read further."""
        return self._parser.closed

    def lineReceived(self, line: bytes) -> None:
        """Process one line of a block."""
        self._parser.line(line)
        if self._parser.in_body:
            self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """Process bytes of a body."""
        end = self._parser.body(data)
        if not self._parser.in_body:
            self.leaveRawMode(data, end)

    def unfinishedLine(self, rest: bytes) -> bytes:
        """Check the beginning of a line."""
        return self._parser.begin_line(rest)

    def _take_line(self) -> bool:
        """Process a block at once, or a line; return False if neither is complete, or enough was read."""
        parser = self._parser
        if parser.closed:
            self.clearLineBuffer()
            return False
        if self._most and len(parser.found) >= self._most:
            self.stopped = True
            return False
        end = parser.block(self._buffer, self._cut)
        if end:
            self._cut = end
            if parser.in_body:
                self.setRawMode()
            return True
        before = self._cut
        super()._take_line()
        return (
            self._cut > before
        )  # `read` collects messages, so the connection's end does not matter
