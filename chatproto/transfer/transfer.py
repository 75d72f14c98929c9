"""Base class of sending and receiving: the state of one transfer and its disk jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

from chatproto.transfer.context import SerialQueue, TransferContext
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.progress import Progress
from chatproto.transfer.records import Record
from chatproto.transfer.sinks import Sink
from chatproto.transfer.sources import FileStream
from chatproto.transfer.state import TransferInput, TransferState
from chatproto.wire.bcp2_common import Bcp2Message


class Transfer(ABC):
    """One transfer, with its files on the disk.

    `number`: number in the user's commands. `id`: number given by the sender. `offset`: bytes passed to
    the connection, or received. `path`: path of the source or of the complete file. `progress`: rate
    while moving. `forgotten`: True if the record is deleted, or about to be. `steps`: next state by
    state and input, from `state.py`.
    """

    outgoing: ClassVar[bool]
    steps: ClassVar[dict[tuple[TransferState, TransferInput], TransferState]]
    _files: FileStream | Sink

    def __init__(
        self,
        context: TransferContext,
        number: int,
        id: int,
        offer: FileOffer,
        state: TransferState,
        path: str,
    ) -> None:
        self.number = number
        self.id = id
        self.offer = offer
        self.state = state
        self.path = path
        self.offset = 0
        self.forgotten = False
        self.progress = Progress()
        self._context = context
        self._disk = SerialQueue(context)

    @abstractmethod
    def record(self) -> Record:
        """Describe the transfer for the store."""

    @abstractmethod
    def _drop(self) -> None:
        """Discard the data in memory that are queued for the disk or the peer."""

    @abstractmethod
    def _failed(self, error: BaseException) -> None:
        """Handle a failed disk job."""

    def lost(self) -> None:
        """Handle the loss of the connection. An offer that is not accepted is repeated later."""
        if self._go(TransferInput.LOSE):
            self._release()

    def forget(self) -> None:
        """Delete the record of the transfer and close its files."""
        self.forgotten = True
        self._disk.do(partial(self._remove, self._files, self.record()), None, self._unsaved)

    def _go(self, happened: TransferInput, text: str = "", offset: int | None = None) -> bool:
        """Change to the next state, and notify the user.

        Args: text: one sentence to show with it. offset: new offset, or None.
        Returns: False, with nothing changed, if the state does not allow `happened`.
        """
        after = self.steps.get((self.state, happened))
        if after is None:
            return False
        self.state = after
        self._context.changed = True
        if offset is not None:
            self.offset = offset
        if after is TransferState.MOVING:
            self.progress.at(self._context.now, self.offset)
        self._context.owner.transfer_changed(self, text)
        return True

    def tell(self, text: str = "") -> None:
        """Show the user the transfer and `text`, one sentence or "", without a change of state."""
        self._context.owner.transfer_changed(self, text)

    def _unsaved(self, error: BaseException) -> None:
        """Tell the user that the record could not be written or deleted."""
        why: object = error
        if isinstance(error, OSError) and error.strerror:
            why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        text = f"cannot keep what is known of {self.offer.name}: {why}"
        self._context.owner.transfer_trouble(text)

    def _end(self, how: TransferInput, text: str = "", last: Bcp2Message | None = None) -> None:
        """End the transfer by the input `how`, send `last`, and delete the record."""
        if self._go(how, text):
            self._drop()
            if last is not None:
                self._context.send(last)
            self.forget()

    def _release(self) -> None:
        """Discard the data in memory, and close the files."""
        self._drop()
        self._disk.do(self._files.close, None, self._unsaved)

    def _remove(self, files: FileStream | Sink, record: Record) -> None:
        """Close `files` and delete `record`, in a thread."""
        files.close()
        self._context.records.remove(record)
