"""Incoming transfer: applies the effects of its `IncomingTransfer` rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from chatproto.transfer.context import SerialQueue, TransferContext, TransferNews, TransferTrouble
from chatproto.transfer.effects import (
    Discard,
    Effect,
    Finish,
    Forget,
    Keep,
    Open,
    Release,
    SendMessage,
    TransferChanged,
    Write,
)
from chatproto.transfer.incoming import IncomingTransfer
from chatproto.transfer.offer import list_bytes
from chatproto.transfer.progress import Progress
from chatproto.transfer.records import Record
from chatproto.transfer.sinks import DataLost, Sink, There
from chatproto.transfer.state import TransferState
from chatproto.wire.bcp2_files import Piece


class Receiving:
    """Incoming transfer with its file on the disk.

    `number`: its number in the user's commands. `folder`: the download folder.
    """

    def __init__(
        self,
        desk: TransferContext,
        number: int,
        machine: IncomingTransfer,
        folder: Path,
        local: str = "",
    ) -> None:
        self.number = number
        self.machine = machine
        self.forgotten = False
        self.list_bytes = list_bytes(machine.offer.files)
        """Cost of a folder's list while its offer is not accepted."""
        self.progress = Progress()
        self._desk = desk
        self._lane = SerialQueue(desk)
        self._folder = folder
        self._sink = Sink(folder, machine.offer, local)

    @property
    def place(self) -> tuple[Path, str]:
        """The folder, and the name in it that was chosen, or empty."""
        return self._folder, self._sink.local

    def receive_to(self, folder: Path, local: str = "") -> None:
        """Receive into `folder`; `local`: go on from what another transfer has left there."""
        self._folder = folder
        self._sink = Sink(folder, self.machine.offer, local)

    def news(self, text: str = "") -> TransferNews:
        """Describe the transfer for the user."""
        machine = self.machine
        return TransferNews(
            self.number,
            False,
            machine.offer.name,
            machine.state,
            machine.offset,
            machine.offer.size,
            machine.offer.type,
            len(machine.offer.files),
            text,
            machine.path,
        )

    def record(self) -> Record:
        """Describe the transfer for the store."""
        machine = self.machine
        return Record(
            self._desk.key,
            False,
            machine.id,
            machine.state,
            machine.offer,
            self._desk.now,
            None,
            str(self._folder),
            self._sink.local,
            machine.digest,
            machine.path,
            machine.hash,
        )

    def run(self, effects: Iterable[Effect]) -> None:
        """Apply `effects`."""
        for effect in effects:
            self._desk.changed = True
            self._apply(effect)

    def _apply(self, effect: Effect) -> None:
        sink, records = self._sink, self._desk.records
        match effect:
            case SendMessage(message):
                self._desk.send(message)
            case TransferChanged(text):
                if self.machine.state is TransferState.MOVING:
                    self.progress.at(self._desk.now, self.machine.offset)
                self._desk.owner.transfer_told(self.news(text))
            case Keep(then):
                # By then work that waits now may have chosen the name.
                record = self.record()
                self._lane.do(
                    lambda: records.save(replace(record, local=sink.local)),
                    lambda result: self._recorded(result, then),
                )
            case Forget():
                self.forgotten = True
                record = self.record()
                self._lane.do(sink.close, self._recorded)
                self._lane.do(lambda: records.remove(record), self._recorded)
            case Release():
                self._lane.do(sink.close, self._recorded)
            case Discard():
                self._lane.do(sink.discard, self._recorded)
            case Open():
                self._open(effect)
            case Write(_, pieces, anew):
                self._work(lambda: _write(sink, pieces, anew), lambda _: self.machine.written())
            case Finish(digest):
                self._work(lambda: sink.finish(digest), self.machine.finished)

    def _open(self, todo: Open) -> None:
        """Open the part; its name is recorded before the file exists, so that no part is forgotten."""
        record, before = self.record(), self._sink
        sink = self._sink = Sink(self._folder, todo.offer, hash=todo.hash)

        def chosen() -> None:
            self._desk.records.save(replace(record, local=sink.local))

        def begin() -> There:
            before.close()
            sink.local = before.local
            return sink.begin(todo.digest, todo.anew, chosen)

        self._work(begin, self.machine.opened)

    def _work(self, job: Callable[[], Any], then: Callable[[Any], list[Effect]]) -> None:
        def done(result: Any) -> None:
            self._desk.changed = True
            if isinstance(result, DataLost):
                self.run(self.machine.spoiled(str(result)))
            elif isinstance(result, BaseException):
                self.run(self.machine.trouble(str(result)))
            else:
                self.run(then(result))

        self._lane.do(job, done)

    def _recorded(self, result: Any, then: Iterable[Effect] = ()) -> None:
        if isinstance(result, BaseException):
            text = f"cannot keep what is known of {self.machine.offer.name}: {result}"
            self._desk.owner.transfer_told(TransferTrouble(text))
        self.run(then)


def _write(sink: Sink, pieces: tuple[Piece, ...], anew: bool) -> None:
    if anew:
        sink.restart()
    sink.write(pieces)
