"""Write the commands of one server to the shared log, in batches, one in flight at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.server import commands as told
from chatproto.wire.classic import Message
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.values import distinct

AGAIN = 0.5
"""Seconds before what was not written is written again."""
AT_ONCE = 500
"""Commands in one batch."""


class SharedLog(Protocol):
    """Log of several servers; calls `begin`, `read` and `came` of a SharedSide as it reads."""

    def append(self, line: str) -> Deferred[Any]:
        """Put `line` at the end. Fails with StoreTrouble if that was not done, with anything else if it
        may have been."""

    def keep(self, lines: Iterator[str]) -> Deferred[int]:
        """Let servers that begin do so with the picture `lines`, and with what has been read up to now;
        what was before it is wanted no more. Fires with its size in bytes."""


@distinct
class Waiter(NamedTuple):
    """Receiver of the result of a command.

    `done` is called with its plain-text answer, if it has one, when it has been applied. `refused` is called
    when it is certain that it never will be.
    """

    done: Callable[[Message | None], None]
    refused: Callable[[], None]


@distinct
class _Written(NamedTuple):
    """A batch that has not been read back yet."""

    number: int
    line: str
    commands: list[tuple[told.Command, Waiter | None]]


class Batches:
    """The commands of a server that is called `node`, until they are read back.

    While one batch is on its way the next is gathered. One that may have been written, or not, is
    written again until it is read: it counts once. One that certainly was not is taken apart, and
    whoever waits for what is in it is refused; what nobody waits for is kept.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, log: SharedLog) -> None:
        self.refused = ""
        """Why the log took nothing when it was tried last, in one sentence; empty: it did."""
        self.on_refused: Callable[[], None] = lambda: None
        """Called when the log begins to take nothing."""
        self.stopping = False
        """True once nothing is tried again, because the server ends."""
        self._clock = clock
        self._log = log
        self._node = ""
        self._number = 0
        self._queue: deque[tuple[told.Command, Waiter | None]] = deque()
        self._flight: _Written | None = None
        self._sending = False
        self._doubtful = False  # whether what is being written may have been written already
        self._unread: deque[_Written] = deque()

    def __len__(self) -> int:
        """Return the number of commands not yet sent."""
        return len(self._queue)

    def begin(self, node: str, first: told.Command) -> None:
        """The server is called `node` now, and its first command is `first`."""
        self._node, self._number = node, 0
        self._queue.appendleft((first, None))
        self._write()

    def end(self) -> None:
        """The server has no name: nothing that was asked is true any more."""
        self._node = ""
        self._queue.clear()
        self._unread.clear()
        self._flight = None

    def add(self, command: told.Command, waiter: Waiter | None = None) -> None:
        """Write `command`, soon, and tell `waiter` what becomes of it."""
        if not self._queue and self._flight is None:
            # What is asked in this turn of the reactor goes together.
            self._clock.callLater(0, self._write)
        self._queue.append((command, waiter))

    def _write(self) -> None:
        if self._flight is not None or not self._queue or not self._node:
            return
        taken = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        self._number += 1
        batch = told.CommandBatch(self._node, self._number, tuple(command for command, _ in taken))
        self._doubtful = False
        self._flight = _Written(self._number, told.write(batch), taken)
        self._unread.append(self._flight)
        self._send()

    def _send(self) -> None:
        flight = self._flight
        if flight is None or self._sending:
            return
        self._sending = True
        sent = self._log.append(flight.line)
        sent.addCallbacks(self._sent, self._not_sent, (flight,), errbackArgs=(flight,))

    def _sent(self, _: object, flight: _Written) -> None:
        self._sending, self.refused = False, ""
        if self._flight is flight:
            self._flight = None
        self.go_on()

    def _not_sent(self, failure: Failure, flight: _Written) -> None:
        before, self.refused = self.refused, failure.getErrorMessage() or "it does not say why"
        self._sending = False
        if not before:
            self.log.error("nothing can be written: {why}", why=self.refused)
            self.on_refused()
        if failure.check(StoreTrouble) is not None and self._flight is flight:
            self._take_back(flight)
        else:
            self._doubtful = True
        self.refuse()
        if not self.stopping:
            self._clock.callLater(AGAIN, self.go_on)

    def _take_back(self, flight: _Written) -> None:
        """Return a batch that was not written to the queue, unless an earlier try may have written it."""
        if not self._doubtful:
            self._flight = None
            self._unread.pop()
            self._number -= 1
            self._queue.extendleft(reversed(flight.commands))

    def refuse(self) -> None:
        """Refuse all commands that were not written, because the log is away."""
        waiting, self._queue = self._queue, deque()
        for command, waiter in waiting:
            if waiter is None:
                self._queue.append((command, None))
                continue
            try:
                waiter.refused()
            except Exception:
                self.log.failure("nobody could be told that it is not done")

    def go_on(self) -> None:
        """Try what is to be written: the log may be there again."""
        if self._flight is not None:
            self._send()
        else:
            self._write()

    def awaits(self, number: int, size: int) -> bool:
        """Return True unless a batch of that number, read in our name, is none that we wrote.

        One that was read before, and was written twice, is none that matters.
        """
        if self._unread and self._unread[0].number == number:
            return len(self._unread[0].commands) == size
        return number <= self._number

    def read_back(self, number: int, answers: list[Message | None]) -> None:
        """The batch `number` has been carried out, with these answers."""
        written = self._unread.popleft()
        assert written.number == number
        for (_, waiter), answer in zip(written.commands, answers, strict=True):
            try:
                if waiter is not None:
                    waiter.done(answer)
            except Exception:  # one connection's trouble is not the others'
                self.log.failure("an answer could not be given")
        if self._flight is written:
            self._flight = None
            if not self._sending:
                self.go_on()
