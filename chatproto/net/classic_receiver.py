"""Receive classic messages on a connection."""

from __future__ import annotations

from chatproto.net.text_connection import TextConnection
from chatproto.wire import fast
from chatproto.wire.classic import Message, Sender
from chatproto.wire.codec import ClassicParser
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import Limits


class ClassicReceiver(TextConnection):
    """Read the classic messages of `sender` from the lines of one connection.

    `quick`: canonical requests may be taken from a chunk in one step; pass `fast.fits(limits)`.
    """

    def __init__(self, limits: Limits, sender: Sender = Sender.CLIENT, quick: bool = False) -> None:
        # The parser checks limits.line itself, since padding does not count; this is more than it
        # lets pass and any chunk.
        self.MAX_LENGTH = limits.line + limits.unsent
        self._quick = quick and sender is Sender.CLIENT
        self._parser = ClassicParser(limits, sender)

    def read(self, data: bytes) -> list[Message | RemoteError]:
        """Return the messages that `data` completes; what is malformed is a RemoteError."""
        parser = self._parser
        if self._quick and not self._buffer and parser.between:
            taken = fast.take_requests(data, parser.found)
            if taken:
                parser.begun = True
                data = data[taken:]
        if data:
            TextConnection.dataReceived(self, data)
        return self._found()

    def finish(self) -> list[Message | RemoteError]:
        """Return the message that needs no more than the end of input; see `ClassicParser`."""
        self._parser.finish(self.clearLineBuffer())
        return self._found()

    @property
    def pending(self) -> int:
        """The number of lines of the block that has begun, the unfinished one included."""
        return self._parser.pending(self._buffer)

    @property
    def unfinished(self) -> bool:
        """True if a REGISTER or BRIDGE lacks only its empty line."""
        return self._parser.unfinished(self._buffer) is not None

    @property
    def unreadable(self) -> bool:
        """True after input that cannot be read further."""
        return self._parser.closed

    def lineReceived(self, line: bytes) -> None:
        """Take one line of a block."""
        self._parser.line(line)

    def unfinishedLine(self, rest: bytes) -> bytes:
        """Check the beginning of a line, and drop padding."""
        return self._parser.begin_line(rest)

    def _found(self) -> list[Message | RemoteError]:
        found, self._parser.found = self._parser.found, []
        return found
