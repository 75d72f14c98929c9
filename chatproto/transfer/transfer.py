"""Base of sending and receiving: news for the user, and work for the disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from chatproto.transfer.context import SerialQueue, TransferContext, TransferNews, TransferTrouble
from chatproto.transfer.effects import Effect
from chatproto.transfer.incoming import IncomingTransfer
from chatproto.transfer.outgoing import Outgoing
from chatproto.transfer.progress import Progress
from chatproto.transfer.records import Record
from chatproto.transfer.sinks import Sink
from chatproto.transfer.sources import FileStream
from chatproto.transfer.state import TransferState


class Transfer(ABC):
    """One transfer, which applies the effects of its rules, `machine`.

    `number`: its number in the user's commands. `forgotten`: its record is deleted, or is about to be.
    """

    machine: Outgoing | IncomingTransfer
    outgoing: bool

    def __init__(self, desk: TransferContext, number: int) -> None:
        self.number = number
        self.forgotten = False
        self.progress = Progress()
        self._desk = desk
        self._do = SerialQueue(desk).do

    @abstractmethod
    def record(self) -> Record:
        """Describe the transfer for the store."""

    @abstractmethod
    def run(self, effects: Iterable[Effect]) -> None:
        """Apply `effects`."""

    @abstractmethod
    def _failed(self, error: BaseException) -> list[Effect]:
        """Return what follows from work for the disk that failed."""

    def news(self, text: str = "") -> TransferNews:
        """Describe the transfer for the user, and note how far it is now."""
        machine, offer = self.machine, self.machine.offer
        if machine.state is TransferState.MOVING:
            self.progress.at(self._desk.now, machine.offset)
        return TransferNews(
            self.number,
            self.outgoing,
            offer.name,
            machine.state,
            machine.offset,
            offer.size,
            offer.type,
            len(offer.files),
            text,
            machine.path,
        )

    def _worked(self, then: Callable[[Any], list[Effect]], result: Any) -> None:
        """Handle the result of work for the disk, or its exception."""
        self._desk.changed = True
        self.run(self._failed(result) if isinstance(result, BaseException) else then(result))

    def _recorded(self, result: Any, then: Iterable[Effect] = ()) -> None:
        """Apply `then`: the record is on the disk, unless `result` says why it is not."""
        if isinstance(result, BaseException):
            text = f"cannot keep what is known of {self.machine.offer.name}: {result}"
            self._desk.owner.transfer_told(TransferTrouble(text))
        if then:
            self.run(then)

    def _forget(self, files: FileStream | Sink, record: Record) -> None:
        """Close the files and delete the record; in a thread."""
        files.close()
        self._desk.records.remove(record)
