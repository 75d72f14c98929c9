"""What all transfers with one person share, and the order in which the work of one of them is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chatproto.transfer.records import Records
from chatproto.transfer.state import TransferState
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.limits import Limits


@dataclass(frozen=True, slots=True)
class TransferNews:
    """How one transfer is. `number`: what the person calls it; `text`: one sentence, or empty.

    `offset`, `size`: bytes; `type`, `files`: of the offer, `files` how many; `path`: where it lies or
    is taken from; `rate`: bytes a second, `left`: seconds, None where that cannot be said.
    """

    number: int
    outgoing: bool
    name: str
    state: TransferState
    offset: int
    size: int
    type: str
    files: int = 0
    text: str = ""
    path: str = ""
    rate: float = 0.0
    left: float | None = None


@dataclass(frozen=True, slots=True)
class TransferTrouble:
    """Something did not work that is no transfer yet, or is about its record; `text`: one sentence.

    `path`: what was to be sent, as it was named.
    """

    text: str
    path: str = ""


class TransferOwner(Protocol):
    """Who is told, and has the connection."""

    def transfer_told(self, news: TransferNews | TransferTrouble) -> None:
        """A transfer has changed."""

    def transfer_wake(self) -> None:
        """There is something to pull."""

    def transfer_hold(self, held: bool) -> None:
        """Read nothing more from them, or go on."""

    def transfer_number(self) -> int:
        """A number that no other transfer of this program has."""


class DiskWorker(Protocol):
    """Does what waits for the disk."""

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call `job` in a thread, then `done` with what it returned or raised, where all else runs.

        Neither is called before this has returned.
        """


class TransferContext:
    """One person's key, our settings, and what is to be said to them."""

    def __init__(
        self, owner: TransferOwner, worker: DiskWorker, records: Records, limits: Limits, key: str
    ) -> None:
        self.owner = owner
        self.worker = worker
        self.records = records
        self.limits = limits
        self.key = key
        self.now = 0.0
        self.connected = False
        self.waiting: deque[Bcp2Message] = deque()
        self.settle: Callable[[], None] = lambda: None

    def send(self, message: Bcp2Message) -> None:
        """Say it next; where there is no connection, nobody hears it."""
        if self.connected:
            self.waiting.append(message)


class SerialQueue:
    """The work of one transfer, one piece after the other."""

    def __init__(self, desk: TransferContext) -> None:
        self._desk = desk
        self._waiting: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self._busy = False

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Have `job` done after all others, and `done` called with what it returned or raised."""
        self._waiting.append((job, done))
        if not self._busy:
            self._go()

    def _go(self) -> None:
        job, done = self._waiting.popleft()
        self._busy = True

        def finished(result: Any) -> None:
            try:
                done(result)
            finally:
                self._busy = False
                if self._waiting:
                    self._go()
            self._desk.settle()

        self._desk.worker.do(job, finished)
