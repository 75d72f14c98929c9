"""Incoming transfer: applies the effects of its `IncomingTransfer` rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from chatproto.transfer.context import TransferContext
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
from chatproto.transfer.records import Record
from chatproto.transfer.sinks import DataLost, Sink, There
from chatproto.transfer.transfer import Transfer
from chatproto.wire.bcp2_files import Piece


class Receiving(Transfer):
    """Incoming transfer with its file on the disk; `folder`: the download folder."""

    machine: IncomingTransfer
    outgoing = False

    def __init__(
        self,
        desk: TransferContext,
        number: int,
        machine: IncomingTransfer,
        folder: Path,
        local: str = "",
    ) -> None:
        super().__init__(desk, number)
        self.machine = machine
        self.list_bytes = list_bytes(machine.offer.files)
        """Cost of a folder's list while its offer is not accepted."""
        self.unsaved = False
        """The record is to be written: with the next work for the disk, or by `save`."""
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

    def record(self) -> Record:
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
        desk, machine, sink, do = self._desk, self.machine, self._sink, self._do
        for effect in effects:
            desk.changed = True
            match effect:
                case SendMessage(message):
                    desk.send(message)
                case TransferChanged(text):
                    desk.owner.transfer_told(self.news(text))
                case Keep(()):
                    self.unsaved = True
                case Keep(then):
                    self.save(then)
                case Forget():
                    self.forgotten, self.unsaved = True, False
                    do(partial(self._forget, sink, self.record()), self._recorded)
                case Release():
                    do(sink.close, self._recorded)
                case Discard():
                    do(sink.discard, self._recorded)
                case Open():
                    self.unsaved = False
                    done = partial(self._worked, machine.opened)
                    do(partial(self._open, sink, effect, self.record()), done)
                case Write(_, pieces, anew):
                    done = partial(self._worked, lambda _: machine.written())
                    do(partial(_write, sink, pieces, anew), done)
                case Finish(digest):
                    if self.unsaved:
                        self.save()  # a file that has its name is found again by its hash
                    do(partial(sink.finish, digest), partial(self._worked, machine.finished))

    def save(self, then: Iterable[Effect] = ()) -> None:
        """Write the record to the disk, and apply `then` once it is there."""
        self.unsaved = False
        job = partial(self._save, self._sink, self.record())
        self._do(job, partial(self._recorded, then=then))

    # In a thread.

    def _save(self, sink: Sink, record: Record) -> None:
        # By now the name may have been chosen.
        self._desk.records.save(replace(record, local=sink.local))

    def _open(self, sink: Sink, todo: Open, record: Record) -> There:
        """Open the part; its name is recorded before the file exists, so that no part is forgotten."""
        sink.expect(todo.offer, todo.hash)
        return sink.begin(todo.digest, todo.anew, partial(self._save, sink, record))

    # What was done.

    def _failed(self, error: BaseException) -> list[Effect]:
        if isinstance(error, DataLost):
            return self.machine.spoiled(str(error))
        return self.machine.trouble(str(error))


def _write(sink: Sink, pieces: tuple[Piece, ...], anew: bool) -> None:
    if anew:
        sink.restart()
    sink.write(pieces)
