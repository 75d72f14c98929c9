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

    _made: ClassicParser | None = None  # for the first input that is not canonical
    _has_taken = False  # a canonical request came before

    def __init__(self, limits: Limits, sender: Sender = Sender.CLIENT, quick: bool = False) -> None:
        # The parser checks limits.line itself, since padding does not count; this is more than it
        # lets pass and any chunk.
        self.MAX_LENGTH = limits.line + limits.unsent
        self._limits, self._sender = limits, sender
        self._quick = quick and sender is Sender.CLIENT

    @property
    def _parser(self) -> ClassicParser:
        if self._made is None:
            self._made = ClassicParser(self._limits, self._sender)
        return self._made

    def read(self, data: bytes) -> list[Message | RemoteError]:
        """Return the messages that `data` completes; what is malformed is a RemoteError."""
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
        """Return the message that needs no more than the end of input; see `ClassicParser`."""
        parser = self._parser
        parser.found = []
        parser.finish(self.clearLineBuffer())
        return parser.found

    @property
    def pending(self) -> int:
        """The number of lines of the block that has begun, the unfinished one included."""
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
