"""Split raw text into messages, which end with a line end, a NUL or a silence (dialects, 5)."""

from __future__ import annotations

import codecs

from chatproto.wire.errors import RemoteError
from chatproto.wire.padding import NUL, Unpadder


class BareText:
    """Parse raw text into messages, one at a time, so that reading can pause above the rate limit.

    If a client sends line ends, each line is a message; a line of more than `limit` bytes is refused.
    Otherwise each chunk received is one message, cut into pieces of `limit` bytes. A NUL ends a message,
    and padding behind it is dropped (`wire.padding`). At most the last chunk and twice `limit` bytes are
    buffered.
    """

    def __init__(self, limit: int) -> None:
        self.line_ends: bool | None = None
        """True if the last message ended with a line end; None before the first."""
        self._limit = limit
        self._padding = Unpadder(limit)
        self._data = b""
        self._position = 0

    @property
    def unfinished(self) -> bool:
        """True while bytes are buffered that only more input or `finish` makes a message."""
        return self._position < len(self._data) or self._padding.waits

    def feed(self, data: bytes) -> None:
        """Add received bytes; call `take` until it returns None before feeding again."""
        if self._padding.passes(data):
            self._data = self._data[self._position :] + data
            self._position = 0
        else:
            self._add(self._padding.feed(data))

    def settle(self) -> bool:
        """Decide about text behind a NUL after a silence; return True if `take` has a message."""
        parts = self._padding.settle()
        self._add(parts)
        return bool(parts)

    def _add(self, parts: list[bytes | None]) -> None:
        more = b"".join([NUL if part is None else part for part in parts])
        self._data = self._data[self._position :] + more
        self._position = 0

    def take(self) -> str | None:
        """Return the next message without its line end, never an empty one; None if more input is needed.

        Raises RemoteError 413 for a line that is too long.
        """
        data = self._data
        while (begin := self._position) < len(data):
            end = data.find(b"\n", begin)
            cut = data.find(NUL, begin, end if end >= 0 else len(data))
            if cut >= 0:
                self._check(cut - begin)
                self._position = cut + 1
                message = data[begin:cut].removesuffix(b"\r")
                if message:
                    self.line_ends = False
            elif end >= 0:
                self._check(end - begin)
                self.line_ends = True
                self._position = end + 1
                message = data[begin:end].rstrip(b"\r")
            elif self.line_ends:
                self._check(len(data) - begin)
                return None
            else:
                message = self._piece(data, begin)
                if not message:
                    return None
                self.line_ends = False
                self._position += len(message)
                message = message.removesuffix(b"\r")
            if message:
                if self._position == len(data):
                    self._data, self._position = b"", 0
                return message.decode("utf-8", "replace")
        self._data = b""
        self._position = 0
        return None

    def finish(self) -> str | None:
        """Return the buffered bytes as a message, after a silence or the end of input."""
        message = self._data[self._position :].removesuffix(b"\r")
        self._data = b""
        self._position = 0
        if not message:
            return None
        self.line_ends = False
        return message.decode("utf-8", "replace")

    def _check(self, length: int) -> None:
        if length > self._limit + 1:  # one for CR
            raise RemoteError(413, f"a line of more than {self._limit} bytes")

    def _piece(self, data: bytes, begin: int) -> bytes:
        """Return the longest prefix within the limit that does not cut a UTF-8 character.

        Return b"" if only an unfinished last character is left that more input may complete.
        """
        piece = data[begin : begin + self._limit]
        more = begin + len(piece) < len(data)
        whole = len(piece) - _unfinished_bytes(piece)
        if not more:
            return piece if whole == len(piece) or len(piece) == self._limit else b""
        return piece[:whole] or piece


def _unfinished_bytes(data: bytes) -> int:
    """Count the bytes (0 to 3) at the end of `data` that begin an unfinished UTF-8 character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-4:])
    return len(decoder.getstate()[0])
