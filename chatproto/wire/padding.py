"""Remove padding from messages: C programs often send a whole buffer, with a NUL after the text."""

from __future__ import annotations

NUL = b"\x00"
BYTE_ORDER_MARK = "\ufeff"
"""Byte order mark, with which Windows programs begin a stream."""
UTF8_MARK = BYTE_ORDER_MARK.encode()


class Unpadder:
    """Remove the padding from one incoming stream of text.

    A NUL ends a message. Further NULs are padding. Text after a single NUL is undecided: a program that
    sends `strlen + 1` bytes for each message has sent a new message; a program that sends its whole
    buffer has sent the buffer's old contents. Padding after the text, or no NUL at its end, show that
    it is old contents. The result does not depend on how the stream is split. At most `limit` bytes
    stay undecided.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._after_one = False  # one NUL ended a message, and nothing was received after it
        self._undecided: list[bytes] = []  # texts after single NULs; the last one may lack its own
        self._size = 0
        self._padded = False  # inside a run of NULs

    @property
    def waits(self) -> bool:
        """Return True if only more input or `settle` decides about some text."""
        return self._after_one or bool(self._undecided)

    def passes(self, data: bytes) -> bool:
        """Return True if `feed` would return `data` as it is."""
        return NUL not in data and not (self._padded or self._after_one or self._undecided)

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the text in `data`; None marks a NUL that ended a message."""
        if self.passes(data):
            return [data]
        found: list[bytes | None] = []
        first, *others = data.split(NUL)
        self._text(first, found)
        for text in others:
            self._nul(found)
            self._text(text, found)
        return found

    def settle(self) -> list[bytes | None]:
        """Decide now, after silence or the end of input: undecided texts that a NUL ended are messages."""
        whole = self._undecided[: None if self._after_one else -1]
        found: list[bytes | None] = []
        for text in whole:
            found += [text, None]
        self._forget()
        self._padded = False
        return found

    def _text(self, text: bytes, found: list[bytes | None]) -> None:
        if not text:
            return
        self._padded = False
        if self._after_one:
            self._after_one = False
            self._undecided.append(text)
        elif self._undecided:
            self._undecided[-1] += text
        else:
            found.append(text)
            return
        self._size += len(text)
        if self._size > self._limit:
            for one in self._undecided[:-1]:
                found += [one, None]
            found.append(self._undecided[-1])
            self._forget()

    def _nul(self, found: list[bytes | None]) -> None:
        if self._padded:
            return
        if (
            self._after_one
        ):  # the second in a row: the undecided text was old contents of the buffer
            self._forget()
            self._padded = True
            return
        if not self._undecided:
            found.append(None)
        self._after_one = True

    def _forget(self) -> None:
        self._undecided, self._size, self._after_one = [], 0, False
