"""Pictures of all that the servers share, put into the log now and then, so that it need not be kept."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.server import replica_snapshot
from chatproto.server.batches import SharedLog
from chatproto.server.replica import Replica


class Pictures:
    """Draws `replica` when more bytes were read since the last picture than that has, and than `least`.

    Of several servers only the one does that is there longest.
    """

    log = Logger()

    def __init__(self, log: SharedLog, replica: Replica, least: int) -> None:
        self._log = log
        self._replica = replica
        self._least = least
        self._since = 0  # bytes read since there was one
        self._size = 0  # of the last one
        self._drawing = False

    def begin(self, lines: list[str]) -> None:
        """The last one is `lines`; empty if there is none."""
        self._since, self._size = 0, sum(map(len, lines))

    def has_read(self, line: str) -> None:
        """Count a line read after the last snapshot."""
        self._since += len(line)

    def draw_when_due(self) -> None:
        """Draw one if it is time for it, and for this server to do it."""
        if self._since <= max(self._least, self._size) or self._drawing:
            return
        if next(iter(self._replica.members)) != self._replica.node:
            return
        self._drawing, self._since = True, 0
        lines = replica_snapshot.written(replica_snapshot.picture(self._replica))
        self._log.keep(lines).addCallbacks(self._drawn, self._not_drawn)

    def _drawn(self, size: int) -> None:
        self._drawing, self._size = False, size

    def _not_drawn(self, failure: Failure) -> None:
        self._drawing = False
        self.log.error("no picture is kept: {why}", why=failure.getErrorMessage())
