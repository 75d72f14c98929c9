"""Receive BCP/2 messages on a connection."""

from __future__ import annotations

from chatproto.net.text_connection import TextConnection
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.strict import StrictParser


class StrictReceiver(TextConnection):
    """Read the BCP/2 messages of `sender`: headers from lines, bodies from raw data.

    A block of headers that lies in the chunk as a whole is taken in one step.
    """

    delimiter = b"\r\n"
    _most = 0
    stopped = False
    """True if `read` stopped before the end of its input."""

    def __init__(self, sender: Sender, limits: Limits = DEFAULTS) -> None:
        # The parser checks limits.line itself, since it also counts the block; this is more than it
        # lets pass and any chunk.
        self.MAX_LENGTH = limits.line + limits.unsent
        self._parser = StrictParser(sender, limits)

    def read(self, data: bytes, most: int = 0) -> list[Bcp2Message | RemoteError]:
        """Return what `data` completes, in order; what is malformed is a RemoteError.

        Args: most: messages at most; 0: all. The bytes behind the last one are kept, `stopped` is
        true, and the next call goes on with them.
        """
        self._most, self.stopped = most, False
        TextConnection.dataReceived(self, data)
        found, self._parser.found = self._parser.found, []
        return found

    @property
    def unfinished(self) -> str:
        """The part that has begun and is not complete: "block", "body" or "" for neither."""
        if self._parser.in_body:
            return "body"
        return "block" if self._buffer or self._parser.in_block else ""

    @property
    def unreadable(self) -> bool:
        """True after input that cannot be read further."""
        return self._parser.closed

    def lineReceived(self, line: bytes) -> None:
        """Take one line of a block."""
        self._parser.line(line)
        if self._parser.in_body:
            self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """Take bytes of a body."""
        end = self._parser.body(data)
        if not self._parser.in_body:
            self.leaveRawMode(data, end)

    def unfinishedLine(self, rest: bytes) -> bytes:
        """Check the beginning of a line."""
        return self._parser.begin_line(rest)

    def _take_line(self) -> bool:
        """Take a block at once, or a line; return False if there is none, or enough was read."""
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
        )  # `read` collects what came, so the connection's end does not matter
