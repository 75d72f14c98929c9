"""Incoming transfer: applies the effects of its `IncomingTransfer` rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
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
        self.unsaved = False
        """The record is to be written: with the next work for the disk, or by `save`."""
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
        desk, machine, sink, do = self._desk, self.machine, self._sink, self._lane.do
        for effect in effects:
            desk.changed = True
            match effect:
                case SendMessage(message):
                    desk.send(message)
                case TransferChanged(text):
                    if machine.state is TransferState.MOVING:
                        self.progress.at(desk.now, machine.offset)
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
        self._lane.do(job, partial(self._recorded, then=then))

    # In a thread.

    def _save(self, sink: Sink, record: Record) -> None:
        # By now the name may have been chosen.
        self._desk.records.save(replace(record, local=sink.local))

    def _forget(self, sink: Sink, record: Record) -> None:
        sink.close()
        self._desk.records.remove(record)

    def _open(self, sink: Sink, todo: Open, record: Record) -> There:
        """Open the part; its name is recorded before the file exists, so that no part is forgotten."""
        sink.expect(todo.offer, todo.hash)
        return sink.begin(todo.digest, todo.anew, partial(self._save, sink, record))

    # What was done.

    def _worked(self, then: Callable[[Any], list[Effect]], result: Any) -> None:
        """Handle the result of work for the disk, or its exception."""
        self._desk.changed = True
        if isinstance(result, DataLost):
            self.run(self.machine.spoiled(str(result)))
        elif isinstance(result, BaseException):
            self.run(self.machine.trouble(str(result)))
        else:
            self.run(then(result))

    def _recorded(self, result: Any, then: Iterable[Effect] = ()) -> None:
        if isinstance(result, BaseException):
            text = f"cannot keep what is known of {self.machine.offer.name}: {result}"
            self._desk.owner.transfer_told(TransferTrouble(text))
        self.run(then)


def _write(sink: Sink, pieces: tuple[Piece, ...], anew: bool) -> None:
    if anew:
        sink.restart()
    sink.write(pieces)
