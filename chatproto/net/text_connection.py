"""Cut what a connection receives into lines and raw data, each chunk once.

`TextConnection` is the base class of the protocols that speak in lines or plain text: classic
requests, the plain chat, the lobby and the control socket.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.basic import LineReceiver


class TextConnection(LineReceiver):
    """Read lines that end in LF or CRLF, and raw data, from one connection.

    The methods `lineReceived`, `rawDataReceived` and `lineLengthExceeded` are called exactly as
    Twisted's `LineReceiver` calls them, with these differences:

    - With the delimiter LF, a CR before it is removed. `MAX_LENGTH` counts that CR.
    - A chunk is cut in place. Twisted copies the rest of the chunk for each line in it, so that a
      chunk of many short lines costs the square of its size.
    - The return values of the callbacks are ignored. Twisted stops reading at one that is true.
    - `unfinishedLine` is called when a chunk ends within a line.
    """

    delimiter = b"\n"
    transport: Any  # a connection of TCP, TLS or a UNIX socket
    _cut = 0  # bytes at the head of `_buffer` that were passed on already

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
        """Return the bytes that were not passed on, and forget them."""
        rest = self._buffer[self._cut :]
        self._buffer, self._cut = b"", 0
        return rest

    def leaveRawMode(self, data: bytes, at: int) -> None:
        """Go on with lines, from `data[at:]`; to be called within `rawDataReceived`.

        `setLineMode(data[at:])` does the same with a copy of these bytes.
        """
        self.line_mode = 1
        self._buffer, self._cut = data, at

    def unfinishedLine(self, rest: bytes) -> bytes:
        """Return what to keep of `rest`, the beginning of a line whose end has not arrived.

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
