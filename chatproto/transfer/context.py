"""Shared state of all transfers with one peer, and a queue that runs disk jobs in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from chatproto.transfer.hashes import OWN
from chatproto.transfer.records import Records
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.limits import ClientLimits

if TYPE_CHECKING:
    from chatproto.transfer.transfer import Transfer


class TransferOwner(Protocol):
    """Owner of the transfers: notifies the user and owns the connection."""

    def transfer_changed(self, transfer: Transfer, text: str) -> None:
        """Show the user the state of `transfer`; `text`: one sentence, or ""."""

    def transfer_trouble(self, text: str, path: str = "") -> None:
        """Tell the user that a transfer was not begun, or its record not written.

        Args: text: one sentence. path: file or folder to send, as the user named it.
        """

    def transfer_wake(self) -> None:
        """Send soon: `Transfers.pull` has a message."""

    def transfer_hold(self, held: bool) -> None:
        """Stop reading from the peer, or resume."""

    def transfer_number(self) -> int:
        """Return a number that is unique among the transfers of this program."""


class DiskWorker(Protocol):
    """Worker that runs blocking disk jobs in threads."""

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call `job` in a thread, then `done` in the reactor with its result or exception.

        Neither is called before `do` has returned.
        """


Work = tuple[Callable[[], Any], Callable[[Any], None] | None, Callable[[BaseException], None]]
"""A job, a callback for its result, and one for its exception."""


class TransferContext:
    """Shared context of all transfers with one peer: its key, the settings, the queued messages."""

    def __init__(
        self,
        owner: TransferOwner,
        worker: DiskWorker,
        records: Records,
        limits: ClientLimits,
        key: str,
        settle: Callable[[], None],
        hashes: tuple[str, ...] = OWN,
    ) -> None:
        self.owner = owner
        self.worker = worker
        self.records = records
        self.limits = limits
        self.key = key
        self.now = 0.0
        self.connected = False
        self.changed = False
        """True after a transfer has changed: another one may start, or a message is queued."""
        self.unwritten = 0
        """Bytes of all transfers that were received and not yet passed to the disk."""
        self.waiting: deque[Bcp2Message] = deque()
        self.settle = settle
        self.hashes = hashes
        """Hash functions besides SHA-256 that this program supports."""

    def send(self, message: Bcp2Message) -> None:
        """Queue `message` for the connection; drop it if there is none."""
        if self.connected:
            self.waiting.append(message)
            self.changed = True


class SerialQueue:
    """Queue that runs the disk jobs of one transfer one after the other."""

    def __init__(self, context: TransferContext) -> None:
        self._context = context
        self._jobs: deque[Work] = deque()  # the first one is running

    def do(
        self,
        job: Callable[[], Any],
        then: Callable[[Any], None] | None,
        failed: Callable[[BaseException], None],
    ) -> None:
        """Run `job` after all earlier ones, then call `then` with its result, or `failed`."""
        self._jobs.append((job, then, failed))
        if len(self._jobs) == 1:
            self._context.worker.do(job, self._finished)

    def _finished(self, result: Any) -> None:
        _, then, failed = self._jobs[0]
        try:
            if isinstance(result, BaseException):
                failed(result)
            elif then is not None:
                then(result)
        finally:
            self._jobs.popleft()
            if self._jobs:
                self._context.worker.do(self._jobs[0][0], self._finished)
        self._context.settle()
