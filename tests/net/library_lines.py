"""Run a test with Twisted's own `LineReceiver` in place of `TextConnection`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import TextConnection


def library_data_received(self: Any, data: bytes) -> None:
    """Cut `data` as Twisted does; see `TextConnection` for what the subclasses expect beyond it."""
    if self.delimiter == b"\n" and "lineReceived" not in self.__dict__:
        received = self.lineReceived
        self.lineReceived = lambda line: received(line.removesuffix(b"\r"))
    LineReceiver.dataReceived(self, data)
    if self.line_mode and self._buffer and not self.paused and not self._busyReceiving:
        self._buffer = self.unfinishedLine(self._buffer)


def library_leave_raw_mode(self: Any, data: bytes, at: int) -> None:
    """Give the library the bytes that are no raw data, also where a subclass has its `dataReceived`."""
    self.line_mode = 1
    library_data_received(self, data[at:])


def library_data_received_bytewise(self: Any, data: bytes) -> None:
    """Do the same for one byte after the other."""
    if self._busyReceiving or not data:
        library_data_received(self, data)
    for byte in data if not self._busyReceiving else b"":
        library_data_received(self, bytes([byte]))


def cut_by_twisted(test: SynchronousTestCase, bytewise: bool = True) -> Callable[[], None]:
    """Let Twisted cut the lines of all text connections until `test` ends, or the result is called.

    Raw text must not come `bytewise`: a chunk of it can be a message.
    """
    received = library_data_received_bytewise if bytewise else library_data_received
    patches = (
        test.patch(TextConnection, "dataReceived", received),
        test.patch(TextConnection, "clearLineBuffer", LineReceiver.clearLineBuffer),
        test.patch(TextConnection, "leaveRawMode", library_leave_raw_mode),
    )

    def restore() -> None:
        for patch in patches:
            patch.restore()

    return restore
