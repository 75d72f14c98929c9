"""Write to a connection, with a bounded queue for one that does not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class BoundedOutput:
    """Bounded queue of output for one connection.

    Args: most: bytes that are queued while the connection does not read; more closes it. read: called
    when the connection reads again.
    """

    def __init__(self, most: int, read: Callable[[], None] = lambda: None) -> None:
        self._most = most
        self._read = read
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._transport: Any = None
        self.paused = False
        """True while the connection does not read."""
        self.finished = False
        """True once no more output is accepted."""

    @property
    def half_full(self) -> bool:
        """Return True if the queue is half full."""
        return 2 * self._bytes > self._most

    def start(self, transport: Any) -> None:
        """Write to `transport` from now on."""
        self._transport = transport
        transport.registerProducer(self, True)

    def write(self, line: bytes) -> None:
        """Write or queue `line`; a connection with too much unread output is closed."""
        if self.finished:
            return
        if not self.paused:
            self._transport.write(line)
        elif self._bytes > self._most:
            self.stopProducing()
            self._transport.abortConnection()
        else:
            self._waiting.append(line)
            self._bytes += len(line)

    def finish(self) -> None:
        """Close when everything is written; a connection that does not read is aborted."""
        self.finished = True
        if not self._waiting:
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while self._waiting and not self.paused:
            line = self._waiting.popleft()
            self._bytes -= len(line)
            self._transport.write(line)
        if self.finished and not self._waiting:
            self.finish()
        else:
            self._read()

    def stopProducing(self) -> None:
        self.finished = True
        self._waiting.clear()
        self._bytes = 0
